"""One synthetic SaaS product, its true effects, and the traps in which an assumption breaks."""

from noholdout_data_generator.generate import Dataset, generate
from noholdout_data_generator.scenarios import Scenario, scenarios
from noholdout_data_generator.write import write

__all__ = ["Dataset", "Scenario", "generate", "scenarios", "write"]
