"""Contract tests: real tools, real processes. Suites shared by several modules fail with pytest's own words."""

import pytest

pytest.register_assert_rewrite("tests.contract.hypervisor_contract")
