//! A laboratory for this thread: a network namespace with two devices that are joined, a mount namespace with tracefs
//! and a BPF file system, a control group with this process in it. It goes with the test.

use alveary_linux::attach::Device;
use std::{
    ffi::CStr,
    fs::{self, File},
    io,
    path::PathBuf,
    process::Command,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub(crate) struct Lab {
    /// The device that programs are attached to, with the addresses 10.9.0.1/24 and fc00:9::1/64.
    pub(crate) device: Device,
    /// Its other end.
    pub(crate) peer: Device,
    /// A netkit device, if the kernel has them.
    pub(crate) netkit: Option<(Device, Device)>,
    /// This thread's network namespace.
    pub(crate) netns: File,
    /// The control group.
    pub(crate) cgroup: File,
    folder: PathBuf,
    /// Where the process was before.
    home: PathBuf,
    /// One at a time: the whole process is in the control group.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

/// Whether it becomes so. The kernel lets go of programs and links behind grace periods, which are long on a busy machine:
/// half a minute is for ever.
pub(crate) fn becomes(mut so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if so() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// A mount namespace for this thread and the processes that it starts, with a BPF file system of its own at /sys/fs/bpf,
/// and the `other` namespaces.
pub(crate) fn own_mounts(other: libc::c_int) {
    // SAFETY: the call changes what this thread sees, and nothing in memory.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNS | other) };
    assert_eq!(done, 0, "namespaces: {}", io::Error::last_os_error());
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE).expect("a private tree of mounts");
    mount(c"bpf", c"/sys/fs/bpf", c"bpf", 0).expect("a BPF file system");
}

impl Lab {
    pub(crate) fn new() -> Lab {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        own_mounts(libc::CLONE_NEWNET);
        if fs::metadata("/sys/kernel/tracing/events").is_err() {
            drop(mount(c"tracefs", c"/sys/kernel/tracing", c"tracefs", 0));
        }
        ip("link set lo up");
        let (device, peer) = pair("v0", "veth").expect("a pair of devices");
        for (name, four, six) in
            [(&device.name, "10.9.0.1/24", "fc00:9::1/64"), (&peer.name, "10.9.1.1/24", "fc00:a::1/64")]
        {
            ip(&format!("addr add {four} dev {name}"));
            ip(&format!("-6 addr add {six} dev {name}"));
            ip(&format!("link set {name} up"));
        }
        for (key, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/v0/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv6/conf/all/seg6_enabled", "1"),
            ("ipv6/conf/v0/seg6_enabled", "1"),
        ] {
            drop(fs::write(format!("/proc/sys/net/{key}"), value));
        }
        let netkit = pair("k0", "netkit");
        for device in netkit.iter().flat_map(|(a, b)| [a, b]) {
            ip(&format!("link set {} up", device.name));
        }
        if let Some((primary, _)) = &netkit {
            ip(&format!("addr add 10.9.2.1/24 dev {}", primary.name));
        }
        let root = cgroup_root().expect("a tree of control groups (version 2)");
        let folder = root.join(format!("alveary-attach-{}", std::process::id()));
        let home = own_cgroup(&root);
        fs::create_dir(&folder).expect("a control group");
        fs::write(folder.join("cgroup.procs"), "0").expect("this process in it");
        let cgroup = File::open(&folder).expect("a control group");
        let netns = File::open("/proc/thread-self/ns/net").expect("a network namespace");
        Lab { device, peer, netkit, netns, cgroup, folder, home, _alone: alone }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(fs::write(self.home.join("cgroup.procs"), "0"));
        drop(fs::remove_dir(&self.folder));
    }
}

fn mount(source: &CStr, at: &CStr, ty: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the texts end in zeros; there is no data.
    let done = unsafe { libc::mount(source.as_ptr(), at.as_ptr(), ty.as_ptr(), flags, ptr::null()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn ip(arguments: &str) -> bool {
    let done = Command::new("ip").args(arguments.split(' ')).output();
    done.is_ok_and(|output| output.status.success())
}

/// Two devices that are joined. Not every `ip` can name the second one.
fn pair(name: &str, ty: &str) -> Option<(Device, Device)> {
    let before = devices();
    let made = ip(&format!("link add {name} type {ty}"));
    let mut new = devices();
    new.retain(|device| !before.contains(device) && device != name);
    let peer = new.first().filter(|_| made)?;
    Some((Device::named(name).ok()?, Device::named(peer).ok()?))
}

fn devices() -> Vec<String> {
    let list = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    list.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

fn cgroup_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find_map(|words| match words[..] {
        [_, at, "cgroup2", ..] => Some(PathBuf::from(at)),
        _ => None,
    })
}

fn own_cgroup(root: &std::path::Path) -> PathBuf {
    let list = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = list.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    root.join(path)
}
