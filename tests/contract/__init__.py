"""Contract tests: real tools, real processes. A suite that modules share fails with pytest's own words."""

import pytest

pytest.register_assert_rewrite("tests.contract.hypervisor_contract")
