"""May a synthetic set be used, may it be shared? (EVALUATION.md)"""

from augury.studies.audit.release import release_set
from augury.studies.audit.run import Options, audit, publish
from augury.studies.audit.subjects import Asked

__all__ = ["Asked", "Options", "audit", "publish", "release_set"]
