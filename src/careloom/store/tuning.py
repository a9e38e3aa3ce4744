"""store.tuning: the PostgreSQL settings of the embedded server, from the machine's memory.

Room: store. Pure. https://www.postgresql.org/docs/18/runtime-config.html
An operator's own settings go to `home/database/data/local.conf`, which is read last.
"""

from __future__ import annotations

MIB = 1 << 20


def configuration(memory_bytes: int) -> dict[str, str]:
    """Settings for a machine with this much memory that also runs careloom itself.

    >>> configuration(8 << 30)["shared_buffers"]
    '1024MB'
    """
    eighth = memory_bytes // 8 // MIB
    return {
        "shared_buffers": f"{min(max(eighth, 128), 2048)}MB",
        "effective_cache_size": f"{max(eighth * 4, 256)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": f"{min(max(eighth // 4, 64), 512)}MB",
        # Compiling a query costs more than any query of a page takes.
        "jit": "off",
        # Many small queries at once: a second process for one of them slows the others.
        "max_parallel_workers_per_gather": "0",
        "random_page_cost": "1.1",
        # Fewer checkpoints: a page is written to the log in full after each; the price is a longer replay.
        "max_wal_size": "2GB",
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "wal_compression": "pglz",
        "wal_buffers": "16MB",
        "max_connections": "100",
        "idle_in_transaction_session_timeout": "5min",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # An error of a statement goes to its caller only: its text may quote a patient's value.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
    }
