//! The files of a confined process: a tree of its own that has its folders and what programs need to run, to draw random numbers and
//! to trust servers. What is not in there has no name for it, sockets of others included. Landlock says beside that what may be done
//! with it, and keeps the process from signalling and tracing others.

use super::{Confinement, cannot};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use wasmill_stream::{Error, Result};

/// What a program needs of a system to run: libraries, and who is to be trusted.
const SYSTEM: [&str; 13] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/alternatives",
    "/etc/localtime",
    "/proc",
];
const LIBRARIES: [&str; 7] = ["/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib64", "/nix/store", "/gnu/store"];
/// Devices that are none.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];
/// This cannot be opened although it is there: it tells about others. The program itself is found by it when it starts anew.
const CLOSED: &str = "/proc";

/// The files of a process.
pub struct Tree<'a> {
    confinement: &'a Confinement,
}

impl<'a> Tree<'a> {
    /// That of this process.
    pub fn of(confinement: &'a Confinement) -> Self {
        Self { confinement }
    }

    /// Puts the tree together and makes it the only one that there is.
    pub fn build(&self) -> Result<()> {
        let stage = &self.confinement.stage;
        let failed = |what: String| move |error: rustix::io::Errno| cannot(&what, error);
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).map_err(failed("have mounts of its own".to_owned()))?;
        let plain = MountFlags::NOSUID | MountFlags::NODEV;
        let size = c"mode=0755,size=1m";
        mount("tmpfs", stage, "tmpfs", plain, size).map_err(failed(format!("mount {}", stage.display())))?;
        for path in SYSTEM.iter().chain(&DEVICES).map(Path::new) {
            self.show(path, path).map_err(|error| cannot(&format!("show {}", path.display()), error))?;
        }
        for (from, to) in &self.confinement.folders {
            let shown = self.bind(from, to);
            shown.map_err(|error| cannot(&format!("show {} as {}", from.display(), to.display()), error))?;
        }
        let whole = failed(format!("make {} its root", stage.display()));
        let read_only = plain | MountFlags::RDONLY | MountFlags::BIND;
        let entered = mount_remount(stage, read_only, c"").and_then(|()| chdir(stage.as_path()));
        // The old root comes to lie on the new one, from where it is taken away.
        let entered = entered.and_then(|()| pivot_root(".", "."));
        entered.and_then(|()| unmount(".", UnmountFlags::DETACH)).and_then(|()| chdir("/")).map_err(whole)
    }

    /// Shows something of the system, which nobody can change there. What is not there is left out.
    fn show(&self, from: &Path, to: &Path) -> io::Result<()> {
        let found = match fs::symlink_metadata(from) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if found.is_symlink() {
            let at = self.staged(to);
            at.parent().map_or(Ok(()), fs::create_dir_all)?;
            return symlink(fs::read_link(from)?, at);
        }
        self.bind(from, to)?;
        let at = self.staged(to);
        // What a mount may not do already must be said again.
        let known = statvfs(&at)?.f_flag;
        let mut flags = MountFlags::BIND | MountFlags::RDONLY;
        for (known_as, flag) in [
            (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
            (StatVfsMountFlags::NODEV, MountFlags::NODEV),
            (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
            (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
            (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
            (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
        ] {
            flags.set(flag, known.contains(known_as));
        }
        Ok(mount_remount(&at, flags, c"")?)
    }

    fn bind(&self, from: &Path, to: &Path) -> io::Result<()> {
        let at = self.staged(to);
        match fs::metadata(from)?.is_dir() {
            true => fs::create_dir_all(&at)?,
            false => {
                at.parent().map_or(Ok(()), fs::create_dir_all)?;
                File::create(&at)?;
            }
        }
        Ok(mount_bind_recursive(from, &at)?)
    }

    fn staged(&self, path: &Path) -> PathBuf {
        self.confinement.stage.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Has Landlock hold what may be done with the tree. `is_other_user`: nobody else is the same user, so there is nobody whom it
    /// could signal.
    pub fn restrict(&self, is_other_user: bool) -> Result<()> {
        let failed = |error: landlock::RulesetError| cannot("restrict itself with Landlock", error).hint(LANDLOCK);
        let newest = ABI::V7;
        let signals = if is_other_user { CompatLevel::BestEffort } else { CompatLevel::HardRequirement };
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))
            .and_then(|rules| {
                rules.set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::from_all(newest))
            })
            .map_err(failed)?;
        let scoped = ruleset
            .set_compatibility(signals)
            .scope(Scope::Signal)
            .and_then(|rules| rules.set_compatibility(CompatLevel::BestEffort).scope(Scope::AbstractUnixSocket));
        let scoped = scoped.map_err(|error| cannot("keep itself from signalling others", error).hint(SIGNALS))?;
        let mut rules = scoped.create().map_err(failed)?;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let shown = SYSTEM.iter().filter(|path| **path != CLOSED).map(|path| (PathBuf::from(path), read));
        // Among the libraries is what loads them when the program is started anew.
        let loaders = LIBRARIES.iter().map(|path| (PathBuf::from(path), read | AccessFs::Execute));
        let devices = DEVICES.iter().map(|path| (PathBuf::from(path), AccessFs::ReadFile | AccessFs::WriteFile));
        // The very file that runs, wherever it lies.
        let program = [(PathBuf::from("/proc/self/exe"), AccessFs::ReadFile | AccessFs::Execute)];
        let own = self.confinement.folders.iter().map(|(_, path)| (path.clone(), of_own(newest)));
        for (path, access) in shown.chain(loaders).chain(devices).chain(program).chain(own) {
            let opened = match PathFd::new(&path) {
                Ok(opened) => opened,
                Err(_) if !path.exists() => continue,
                Err(error) => return Err(cannot(&format!("open {}", path.display()), error)),
            };
            rules = rules.add_rule(PathBeneath::new(opened, access)).map_err(failed)?;
        }
        match rules.restrict_self().map_err(failed)?.ruleset {
            RulesetStatus::NotEnforced => Err(Error::invalid("restrict itself with Landlock").hint(LANDLOCK)),
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        }
    }
}

/// All that can be done with files, but not to run them as programs.
fn of_own(abi: ABI) -> BitFlags<AccessFs> {
    AccessFs::from_all(abi) & !BitFlags::from(AccessFs::Execute)
}

const LANDLOCK: &str = "it takes Linux 5.13 or later with `landlock` among its security modules (boot parameter lsm=)";
const SIGNALS: &str = "it takes Linux 6.12 or later, or a user of its own: `user` in the file of the tenant";
