"""Other packages in the same arena: one adapter each, installed with the extra ``peers``."""
