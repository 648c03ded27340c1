"""Who may ask what: users, hosts, origins, headers and deadlines.

Law: access is denied by default. Every route is behind `AccessControl` but ``/healthz``.
"""

__all__: list[str] = []
