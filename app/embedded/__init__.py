"""The embedded default: real Postgres and a real Redis-protocol server from wheels, and the supervisor of them.

servers      EmbeddedServers: both servers on one data folder, as a context manager
supervisor   Supervisor: keeps a list of services running, and takes them down in order
signals      Ctrl-C, SIGTERM and SIGHUP as one orderly stop
postgres     one Postgres: initdb once, then serve on a Unix socket
valkey       one Valkey: append-only file, loopback and a password
binaries     where the servers' programs are
identity     whom Postgres runs as when we are root
child        one supervised process: start, die, back off, stop
process      starting a process that cannot outlive this one
launcher     (run as a script) the last step before a child's program: bound to our life by the kernel
guard        (run as a script) the process between supervisor and child where the kernel's binding is not enough
lock         one supervisor a data folder
leftovers    a server of a supervisor that was killed
secret       passwords, kept in files
logs         rotated, bounded log files
"""

from app.embedded.errors import (
    DataFolderInUseError,
    EmbeddedError,
    EmbeddedServersMissingError,
    ServiceFailedError,
)
from app.embedded.servers import EmbeddedServers, ServerUrls, running_urls
from app.embedded.signals import StopRequested
from app.embedded.supervisor import Service, Supervisor

__all__ = [
    "DataFolderInUseError",
    "EmbeddedError",
    "EmbeddedServers",
    "EmbeddedServersMissingError",
    "ServerUrls",
    "Service",
    "ServiceFailedError",
    "StopRequested",
    "Supervisor",
    "running_urls",
]
