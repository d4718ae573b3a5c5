"""The protocols of this package: name in the protocol file -> the function that runs it, as "module:function"."""

PROTOCOLS: dict[str, str] = {
    "em_optical": "em_registration.protocols.em_optical:run",
    "em_static": "em_registration.protocols.em_static:run",
    "em_clean": "em_registration.protocols.em_clean:run",
    "em_landmarks": "em_registration.protocols.em_landmarks:run",
    "pointer_pivot": "em_registration.protocols.pointer_pivot:run",
    "em_bag": "em_registration.protocols.em_bag:run",
    "em_metal": "em_registration.protocols.em_metal:run",
    "cis_em": "em_registration.protocols.cis_em:run",
    "em_paper": "em_registration.protocols.em_paper:run",
}
