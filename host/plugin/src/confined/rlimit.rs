//! The limits that a child lays upon itself before it reads a byte. They cannot be taken back.
#![allow(unsafe_code)]

use std::io;

/// Standard input, output and error, and a few for the allocator and the thread pool.
const MAX_FILES: u64 = 16;

/// Confines this process: address space in bytes, CPU time in seconds, no core dump, nothing written to files, no more
/// rights by running another program.
pub(super) fn confine(memory: u64, cpu_seconds: u64) -> io::Result<()> {
    set(libc::RLIMIT_CORE, 0, 0)?;
    set(libc::RLIMIT_FSIZE, 0, 0)?;
    set(libc::RLIMIT_NOFILE, MAX_FILES, MAX_FILES)?;
    set(libc::RLIMIT_AS, memory, memory)?;
    // At the soft limit comes a signal that names the reason, a second later one that cannot be ignored.
    set(libc::RLIMIT_CPU, cpu_seconds, cpu_seconds.saturating_add(1))?;
    // SAFETY: this call takes four numbers and touches no memory of ours.
    done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

fn set(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a value that lives until the call returns; the call only reads it.
    done(unsafe { libc::setrlimit(resource, &limit) })
}

fn done(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
