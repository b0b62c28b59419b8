//! What the machine finds in its first file system: busybox, the kernel's modules for networking, and the files of an
//! order. The repository stands where it stands here, so that paths mean the same inside.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{cpio::Archive, debian, kernels::Kernel};
use crate::{
    Outcome,
    process::{self, command, path, root},
};

/// What init does: mounts; the command, whose output goes through a pipe, as to a file, to the second serial line; its
/// exit code on the first.
const INIT: &str = r#"#!/bin/sh
mkdir -p /proc /sys /dev /tmp /run /root /sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
chmod 1777 /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
ip link set lo up
stty -F /dev/ttyS1 raw -echo
export PATH=/bin:/sbin HOME=/root
(sh /command </dev/null 2>&1; echo $? >/run/code) | cat >/dev/ttyS1
code=$(cat /run/code)
stty -F /dev/ttyS1 sane
echo "alveary-vm: exit $code" >/dev/ttyS0
poweroff -f
"#;

/// Folders of modules that are taken whole, and those of which only the files right inside are.
const MODULES: &[(&str, bool)] =
    &[("net", true), ("lib", true), ("crypto", true), ("arch/x86/crypto", true), ("drivers/net", false)];

/// First inode numbers of the two archives.
const OF_BASE: u32 = 0;
const OF_ORDER: u32 = 1 << 20;

/// A file to be put inside.
pub(super) struct File {
    inside: String,
    from: PathBuf,
    permissions: u32,
}

impl File {
    /// A program of ours: `inside` is without the first `/`.
    pub(super) fn program(inside: &str, from: &Path) -> File {
        File { inside: inside.to_owned(), from: from.to_owned(), permissions: 0o755 }
    }

    /// This command as /bin/xtask, with the libraries that it runs with, at their own places.
    pub(super) fn itself() -> Result<Vec<File>, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let maps = fs::read_to_string("/proc/self/maps").map_err(|error| format!("/proc/self/maps: {error}"))?;
        let mapped = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        let libraries: BTreeSet<&str> = mapped.filter(|path| path.contains(".so")).collect();
        let mut files = vec![File::program("bin/xtask", &own)];
        for library in libraries {
            files.push(File::program(library.trim_start_matches('/'), Path::new(library)));
            // Programs name their loader by this path.
            if let Some(name) = library.rsplit('/').next().filter(|name| name.starts_with("ld-linux")) {
                files.push(File::program(&format!("lib64/{name}"), Path::new(library)));
            }
        }
        Ok(files)
    }

    /// A file of the repository, at its own place.
    pub(super) fn ours(relative: &str) -> File {
        let from = path(relative);
        let inside = from.to_string_lossy().trim_start_matches('/').to_owned();
        File { inside, from, permissions: 0o755 }
    }

    /// Every file right inside a folder of the repository.
    pub(super) fn folder(relative: &str) -> Result<Vec<File>, String> {
        let files = debian::files(&path(relative))?;
        let names = files.iter().filter(|file| file.is_file()).filter_map(|file| file.file_name());
        Ok(names.map(|name| File::ours(&format!("{relative}/{}", name.to_string_lossy()))).collect())
    }
}

/// The kernel's file.
pub(super) fn kernel(kernel: &Kernel) -> Result<PathBuf, String> {
    let folder = packages(kernel)?;
    let modules = modules(&folder)?;
    let beside = modules.join("vmlinuz");
    let version = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let places = [beside, folder.join(format!("boot/vmlinuz-{version}"))];
    places.into_iter().find(|file| file.is_file()).ok_or_else(|| format!("no kernel in {}", folder.display()))
}

/// Busybox and the modules, which take long to put together and stay as they are: made once.
pub(super) fn base(kernel: &Kernel) -> Result<Vec<u8>, String> {
    let file = debian::folder().join(format!("linux-{}.cpio", kernel.name));
    if let Ok(bytes) = fs::read(&file) {
        return Ok(bytes);
    }
    let busybox = debian::unpacked("busybox", |_| Ok(vec!["busybox-static".into()]))?.join("usr/bin/busybox");
    let modules = modules(&packages(kernel)?)?;
    let version = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A tree of their own, unpacked: neither busybox nor every kernel reads compressed ones.
    let tree = debian::folder().join(format!("linux-{}.modules", kernel.name));
    let folder = tree.join("lib/modules").join(&version);
    for (part, deep) in MODULES {
        copy_modules(&modules.join("kernel").join(part), &folder.join("kernel").join(part), *deep)?;
    }
    for list in ["modules.builtin", "modules.order"] {
        fs::copy(modules.join(list), folder.join(list)).map_err(|error| format!("{list}: {error}"))?;
    }
    let depmod = busybox.to_string_lossy().into_owned();
    process::run(command(&depmod, &["depmod", "-b"]).arg(&tree).arg(&version))?;

    let mut archive = Archive::new(OF_BASE);
    archive.folder("bin");
    archive.file("bin/busybox", 0o755, &read(&busybox)?);
    let applets = process::output(&mut command(&depmod, &["--list"]))?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        archive.link(&format!("bin/{applet}"), "busybox");
    }
    archive.folder("sbin");
    archive.link("sbin/modprobe", "../bin/busybox");
    let mut folders = BTreeSet::new();
    add_tree(&mut archive, &mut folders, &tree, &folder)?;
    let bytes = archive.finish();
    fs::write(&file, &bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    fs::remove_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    Ok(bytes)
}

/// Appends what an order brings: init, its files, and its command as a script.
pub(super) fn add(image: &mut Vec<u8>, files: &[File], words: &[String]) -> Outcome {
    let mut archive = Archive::new(OF_ORDER);
    archive.file("init", 0o755, INIT.as_bytes());
    let mut folders = BTreeSet::new();
    for file in files {
        parents(&mut archive, &mut folders, &file.inside);
        archive.file(&file.inside, file.permissions, &read(&file.from)?);
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    let home = root().display();
    archive.file("command", 0o644, format!("cd '{home}'\n{}\n", quoted.join(" ")).as_bytes());
    image.extend(archive.finish());
    Ok(())
}

/// A kernel's packages, unpacked. Newer releases split them.
fn packages(kernel: &Kernel) -> Result<PathBuf, String> {
    debian::unpacked(&format!("linux-{}", kernel.name), |archive| {
        let images = archive.names(&format!("linux-image-{}", kernel.name))?;
        let mut found: Vec<(Vec<u32>, String)> = images
            .iter()
            .filter_map(|name| Some((name, name.strip_prefix("linux-image-")?.strip_suffix("-cloud-amd64")?)))
            .filter(|(_, version)| version.strip_prefix(kernel.name).is_some_and(|rest| rest.starts_with('.')))
            .map(|(name, version)| (numbers(version), name.clone()))
            .collect();
        found.sort();
        let Some((_, image)) = found.pop() else {
            return Err(format!("Debian {} has no linux-image-{}.*-cloud-amd64 any more", kernel.suite, kernel.name));
        };
        let mut all = Vec::new();
        for part in ["linux-base-", "linux-binary-", "linux-modules-"] {
            let name = image.replacen("linux-image-", part, 1);
            all.extend(archive.names(&name)?.into_iter().filter(|found| *found == name));
        }
        all.push(image);
        Ok(all)
    })
}

/// The numbers in a version, for comparison.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The folder of the modules, which is named after the version.
fn modules(folder: &Path) -> Result<PathBuf, String> {
    let places = [folder.join("usr/lib/modules"), folder.join("lib/modules")];
    let place = places.iter().find(|place| place.is_dir());
    let all = place.map(|place| debian::files(place)).transpose()?.unwrap_or_default();
    all.into_iter().next().ok_or_else(|| format!("no modules in {}", folder.display()))
}

fn copy_modules(from: &Path, to: &Path, deep: bool) -> Outcome {
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    for file in debian::files(from)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.is_dir() {
            if deep {
                copy_modules(&file, &to.join(&name), deep)?;
            }
        } else if let Some(plain) = name.strip_suffix(".xz") {
            let output = command("xz", &["-dc"]).arg(&file).output().map_err(|error| format!("xz: {error}"))?;
            fs::write(to.join(plain), output.stdout).map_err(|error| format!("{plain}: {error}"))?;
        } else {
            fs::copy(&file, to.join(&name)).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

fn add_tree(archive: &mut Archive, folders: &mut BTreeSet<String>, tree: &Path, folder: &Path) -> Outcome {
    for file in debian::files(folder)? {
        if file.is_dir() {
            add_tree(archive, folders, tree, &file)?;
        } else {
            let inside = file.strip_prefix(tree).unwrap_or(&file).to_string_lossy().into_owned();
            parents(archive, folders, &inside);
            archive.file(&inside, 0o644, &read(&file)?);
        }
    }
    Ok(())
}

/// Adds the folders above a file that are not there.
fn parents(archive: &mut Archive, folders: &mut BTreeSet<String>, file: &str) {
    for (at, _) in file.match_indices('/') {
        if folders.insert(file[..at].to_owned()) {
            archive.folder(&file[..at]);
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}
