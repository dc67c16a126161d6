"""The limits of section "throttles": sliding windows over the sandbox's clock."""

from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass
class Throttle:
    """Counts per key; a refused request does not count."""

    realm_per_minute: int = 500
    app_per_second: int = 10
    batches_per_minute: int = 40
    _seen: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def admit(self, realm: str, app: str, at: float, *, is_batch: bool) -> bool:
        windows = [(f"realm {realm}", 60.0, self.realm_per_minute), (f"app {realm} {app}", 1.0, self.app_per_second)]
        if is_batch:
            windows.append((f"batch {realm} {app}", 60.0, self.batches_per_minute))
        for key, length, _ in windows:
            self._forget(key, at - length)
        if any(len(self._seen[key]) >= most for key, _, most in windows):
            return False
        for key, _, _ in windows:
            self._seen[key].append(at)
        return True

    def _forget(self, key: str, until: float) -> None:
        seen = self._seen[key]
        while seen and seen[0] <= until:
            seen.popleft()
