"""The protocols of this package: name in the protocol file -> the function that runs it, as "module:function"."""

PROTOCOLS: dict[str, str] = {
    "em_optical": "em_registration.protocols.em_optical:run",
    "em_static": "em_registration.protocols.em_static:run",
    "em_landmarks": "em_registration.protocols.em_landmarks:run",
    "pointer_pivot": "em_registration.protocols.pointer_pivot:run",
    "em_bag": "em_registration.protocols.em_bag:run",
    "cis_em": "em_registration.protocols.cis_em:run",
}
