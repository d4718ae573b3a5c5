"""Networks and their weights, each with a model card. torch is imported here and nowhere else in the package but where one is used."""
