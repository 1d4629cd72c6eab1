import pytest

from daydreamer.robots import QUADRUPEDS


@pytest.fixture(params=QUADRUPEDS.values(), ids=list(QUADRUPEDS))
def robot(request):
    return request.param
