"""May a synthetic set be used, may it be shared? (EVALUATION.md) The words of the verdict load without the rest."""
