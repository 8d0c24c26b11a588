//! Namespaces, users, capabilities and limits of a process.

use super::cannot;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getegid, geteuid, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use serde::{Deserialize, Serialize};
use std::fs;
use wasmill_stream::{Error, Result};

/// What helps where the system forbids namespaces to users.
const NAMESPACES: &str = "a process of its own needs user namespaces: sysctl kernel.unprivileged_userns_clone=1 and \
                          kernel.apparmor_restrict_unprivileged_userns=0 where these exist, user.max_user_namespaces above 0, \
                          `RestrictNamespaces` of systemd and the profile of a container permitting; or start the host as root";

/// A user of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// That of its group.
    pub gid: u32,
}

/// What a process may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory that it may write to, in bytes. What is only reserved does not count.
    pub memory: u64,
    /// Open files and sockets.
    pub files: u64,
    /// Threads and processes.
    pub tasks: u64,
}

impl Account {
    /// The one that is called so: `NAME`, as /etc/passwd has it, or `UID:GID`.
    pub fn find(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u32>().ok();
        if let Some((uid, gid)) = text.split_once(':') {
            let form = || format!("\"{text}\": expected a name, or UID:GID");
            return Ok(Self { uid: number(uid).ok_or_else(form)?, gid: number(gid).ok_or_else(form)? });
        }
        let users = fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
        let found = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_meant = fields.next() == Some(text);
            let (uid, gid) = (fields.nth(1)?, fields.next()?);
            is_meant.then_some(Self { uid: number(uid)?, gid: number(gid)? })
        });
        found.ok_or_else(|| format!("/etc/passwd has no user \"{text}\""))
    }
}

impl Limits {
    /// Has the system hold them.
    pub(super) fn set(&self) -> Result<()> {
        let Self { memory, files, tasks } = *self;
        for (resource, most) in
            [(Resource::Core, 0), (Resource::Data, memory), (Resource::Nofile, files), (Resource::Nproc, tasks)]
        {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            setrlimit(resource, limit).map_err(|error| cannot(&format!("limit {resource:?} to {most}"), error))?;
        }
        Ok(())
    }
}

/// Leaves the network, the files and the shared memory of the machine for others of its own. Tells whether users are others, too:
/// without the right to do the rest that is how it comes by it.
pub fn enter_namespaces() -> Result<bool> {
    let (uid, gid) = (geteuid(), getegid());
    let rights = capabilities(None).map_err(|error| cannot("look at its rights", error))?;
    let is_new_user = !rights.effective.contains(CapabilitySet::SYS_ADMIN);
    let mut spaces = UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::NEWIPC;
    spaces.set(UnshareFlags::NEWUSER, is_new_user);
    // Deprecated as it can take open files apart, which is not asked for here.
    #[allow(deprecated)]
    let entered = rustix::thread::unshare(spaces);
    entered.map_err(|error| cannot("enter namespaces of its own", error).hint(NAMESPACES))?;
    if is_new_user {
        let write = |path: &str, text: String| {
            fs::write(path, text).map_err(|error| cannot(&format!("write {path}"), error).hint(NAMESPACES))
        };
        write("/proc/self/setgroups", "deny".to_owned())?;
        write("/proc/self/gid_map", format!("{0} {0} 1", gid.as_raw()))?;
        write("/proc/self/uid_map", format!("{0} {0} 1", uid.as_raw()))?;
    }
    Ok(is_new_user)
}

/// Becomes a user without any rights, who cannot get any.
pub fn drop_all(account: Option<&Account>, is_new_user: bool) -> Result<()> {
    let failed = |error| cannot("give up its rights", error);
    for right in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(right) {
            // The system knows fewer than this program.
            Err(rustix::io::Errno::INVAL) => {}
            removed => removed.map_err(failed)?,
        }
    }
    if let Some(&Account { uid, gid }) = account {
        let who = |error| cannot(&format!("become user {uid} of group {gid}"), error);
        if is_new_user && uid != geteuid().as_raw() {
            return Err(Error::invalid(format!("become user {uid}: only root can")).hint("leave out `user`"));
        }
        if !is_new_user {
            set_thread_groups(&[]).map_err(who)?;
            let gid = Gid::from_raw(gid);
            set_thread_res_gid(gid, gid, gid).map_err(who)?;
            let uid = Uid::from_raw(uid);
            set_thread_res_uid(uid, uid, uid).map_err(who)?;
        }
    }
    clear_ambient_capability_set().map_err(failed)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(failed)?;
    set_no_new_privs(true).map_err(failed)?;
    // Nobody reads its memory: no debugger, and no file that is left of a crash.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed)
}
