//! What bpftool's users type, on objects that the test makes: our output beside that of bpftool.

mod btf;
mod cgroup;
mod link;
mod map;
mod net;
mod perf;
mod privilege;
mod struct_ops;
mod system;
mod token;
mod values;

use alveary_abi::{AttachType, MapType, ProgType};
use alveary_linux::sys::{LinkCreate, Loaded, Map, MapCreate, ProgLoad, ProgQuery, Target};
use std::{
    os::fd::AsFd,
    process::{Command, Output},
};

pub(crate) const BPFTOOL: &str = "bpftool";

/// Options before the verb: each shape of output.
const SHAPES: [&[&str]; 4] = [&[], &["-j"], &["-p"], &["-j", "-f"]];

pub(crate) fn permitted(test: &str) -> bool {
    if !alveary_testing::bpf::permitted(test) {
        return false;
    }
    let there = Command::new(BPFTOOL).arg("version").output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("SKIP {test}: bpftool is not installed");
    }
    there
}

pub(crate) fn output(tool: &str, args: &[&str]) -> Output {
    Command::new(tool).args(args).output().expect("the tool starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Both tools fail or succeed alike, and say the same on stdout, in every shape.
#[track_caller]
pub(crate) fn same(words: &[&str]) {
    for shape in SHAPES {
        let args = [shape, words].concat();
        let (theirs, ours) = (output(BPFTOOL, &args), output(env!("CARGO_BIN_EXE_alveary"), &args));
        assert_eq!(ours.status.success(), theirs.status.success(), "{args:?}: {}", text(&ours.stderr));
        // What is wrong is told on stderr here, and with more words.
        if theirs.status.success() {
            assert_eq!(without_news(&text(&ours.stdout)), without_pids(&text(&theirs.stdout)), "{args:?}");
        }
    }
}

/// What bpftool 7.1 does not tell.
fn without_news(told: &str) -> String {
    const ORPHANED: [&str; 2] = [",\"orphaned\":false", ",\n    \"orphaned\": false"];
    without_pids(&ORPHANED.iter().fold(told.to_owned(), |told, news| told.replace(news, "")))
}

/// Processes that hold an object are told by bpftool only if it was built with its own eBPF programs.
fn without_pids(told: &str) -> String {
    const BEGINNINGS: [(&str, &str); 3] = [(",\"pids\":[", "]"), (",\n    \"pids\": [", "\n    ]"), ("\n\tpids ", "")];
    for (beginning, end) in BEGINNINGS {
        let Some((before, rest)) = told.split_once(beginning) else { continue };
        let behind = match end {
            "" => rest.find('\n').map_or("", |line| &rest[line..]),
            end => rest.split_once(end).map_or("", |(_, behind)| behind),
        };
        return format!("{before}{behind}");
    }
    told.to_owned()
}

/// Runs a script of the shell for each tool, as `$tool`, in a BPF file system and a network namespace of its own; both must print the same. Gives what they printed.
#[track_caller]
fn same_script(script: &str) -> String {
    let run = |tool: &str| {
        let script = format!(
            "at=$(mktemp -d -t alvearyXXXXXX); mount -t bpf bpf $at; cd $at; tool={tool}
             {script}
             cd /; umount $at; rmdir $at"
        );
        let done = output("unshare", &["--mount", "--net", "--propagation", "private", "sh", "-c", &script]);
        (text(&done.stdout), text(&done.stderr))
    };
    let ((theirs, their_errors), (ours, our_errors)) = (run(BPFTOOL), run(env!("CARGO_BIN_EXE_alveary")));
    assert_eq!(without_news(&ours), theirs, "{our_errors}\n{their_errors}");
    ours
}

pub(crate) fn map(ty: MapType, name: &str, sizes: (u32, u32), entries: u32, flags: u32) -> Map {
    let (key_size, value_size) = sizes;
    let create = MapCreate {
        map_type: ty.0,
        key_size,
        value_size,
        max_entries: entries,
        map_flags: flags,
        ..MapCreate::default()
    };
    MapCreate { name, ..create }.create().expect("the kernel makes the map")
}

pub(crate) fn id(map: &Map) -> String {
    map.info().expect("the kernel tells").id.to_string()
}

#[test]
fn maps_without_types_look_as_from_bpftool() {
    if !permitted("maps_without_types_look_as_from_bpftool") {
        return;
    }
    let hash = map(MapType::HASH, "cli_hash", (4, 8), 8, 0);
    let wide = map(MapType::HASH, "cli_wide", (20, 40), 8, 0);
    let per_cpu = map(MapType::PERCPU_HASH, "cli_per_cpu", (4, 6), 8, 0);
    let trie = map(MapType::LPM_TRIE, "cli_trie", (8, 4), 8, 1);
    let programs = map(MapType::PROG_ARRAY, "cli_programs", (4, 4), 4, 0);
    for i in 1..4u8 {
        hash.update(&[i, 0, 0, 0], &[i; 8], 0).expect("there is room");
        wide.update(&[i; 20], &[i; 40], 0).expect("there is room");
        per_cpu.update(&[i, 0, 0, 0], &vec![i; per_cpu.value_size()], 0).expect("there is room");
        trie.update(&[i, 0, 0, 0, 1, 2, 3, 4], &[i; 4], 0).expect("there is room");
    }
    for map in [&hash, &wide, &per_cpu, &trie, &programs] {
        let id = id(map);
        for verb in ["show", "dump"] {
            same(&["map", verb, "id", &id]);
        }
        same(&["map", "getnext", "id", &id]);
    }
    let (hash, per_cpu) = (id(&hash), id(&per_cpu));
    same(&["map", "lookup", "id", &hash, "key", "2", "0", "0", "0"]);
    same(&["map", "lookup", "id", &hash, "key", "hex", "09", "0", "0", "0"]);
    same(&["map", "lookup", "id", &per_cpu, "key", "2", "0", "0", "0"]);
    same(&["map", "getnext", "id", &hash, "key", "1", "0", "0", "0"]);
}

#[test]
fn elements_are_set_and_taken_out() {
    if !permitted("elements_are_set_and_taken_out") {
        return;
    }
    let hash = map(MapType::HASH, "cli_elements", (4, 4), 8, 0);
    let id = id(&hash);
    let ours = |words: &[&str]| output(env!("CARGO_BIN_EXE_alveary"), &[&["map"], words].concat());
    let key = ["key", "1", "0", "0", "0"];
    let set = ours(&[&["update", "id", &id][..], &key, &["value", "hex", "0a", "0b", "0c", "0d", "noexist"]].concat());
    assert!(set.status.success(), "{}", text(&set.stderr));
    let mut value = [0; 4];
    hash.lookup(&[1, 0, 0, 0], &mut value, 0).expect("it was set");
    assert_eq!(value, [10, 11, 12, 13]);
    let again = ours(&[&["update", "id", &id][..], &key, &["value", "1", "2", "3", "4", "noexist"]].concat());
    assert!(!again.status.success() && text(&again.stderr).contains("EEXIST"), "{}", text(&again.stderr));
    let gone = ours(&[&["delete", "id", &id][..], &key].concat());
    assert!(gone.status.success(), "{}", text(&gone.stderr));
    assert!(hash.lookup(&[1, 0, 0, 0], &mut value, 0).is_err());
}

#[test]
fn maps_with_types_and_their_programs_look_as_from_bpftool() {
    if !permitted("maps_with_types_and_their_programs_look_as_from_bpftool") {
        return;
    }
    // bpftool itself loads the object: pins need a mount of their own, which ends with the process that waits here.
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/filter.bpf.o");
    let ours = env!("CARGO_BIN_EXE_alveary");
    let script = format!(
        "set -e; at=$(mktemp -d -t alvearyXXXXXX); mount -t bpf bpf $at
         bpftool prog loadall {object} $at/progs pinmaps $at/maps
         for tool in bpftool {ours}; do
           for file in $at/progs/*; do
             for shape in '' -j -p -f; do $tool $shape prog show pinned $file; done
           done
           for file in $at/maps/*; do
             for shape in '' -j -p -f; do $tool $shape map show pinned $file; $tool $shape map dump pinned $file; done
           done > $at.$(basename $tool)
         done
         cmp $at.bpftool $at.alveary && wc -c < $at.alveary
         rm $at.bpftool $at.alveary; umount $at; rmdir $at"
    );
    let done = output("unshare", &["--mount", "--propagation", "private", "sh", "-c", &script]);
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    assert!(text(&done.stdout).lines().count() > 8, "it printed something: {}", text(&done.stdout));
}

#[test]
fn programs_are_found_by_name_and_tag() {
    if !permitted("programs_are_found_by_name_and_tag") {
        return;
    }
    let code = alveary_testing::code("r0 = 77\nexit", |_, _| unreachable!("there is no symbol"));
    let load = |name| {
        let loaded: Loaded = ProgLoad { name, license: c"GPL", ..ProgLoad::new(ProgType::SOCKET_FILTER, &code) }
            .load()
            .expect("the kernel takes it");
        loaded
    };
    let (one, two) = (load("cli_found_one"), load("cli_found_two"));
    let info = alveary_linux::sys::prog_info(one.fd.as_fd(), alveary_linux::sys::ProgParts::default());
    let tag = format!("{:016x}", u64::from_be_bytes(info.expect("the kernel tells").tag));
    same(&["prog", "show", "name", "cli_found_one"]);
    let ours = |words: &[&str]| output(env!("CARGO_BIN_EXE_alveary"), &[&["prog", "show"], words].concat());
    let both = text(&ours(&["tag", &tag]).stdout);
    assert!(both.contains("cli_found_one") && both.contains("cli_found_two"), "{both}");
    drop((one, two));
    let none = ours(&["name", "cli_found_one"]);
    assert!(!none.status.success() && text(&none.stderr).contains("there is no program"), "{}", text(&none.stderr));
}

#[test]
fn links_look_as_from_bpftool_and_are_detached() {
    if !permitted("links_look_as_from_bpftool_and_are_detached") {
        return;
    }
    let Some(cgroup) = Cgroup::named("link") else {
        eprintln!("SKIP links_look_as_from_bpftool_and_are_detached: no cgroup2 at {CGROUPS:?}");
        return;
    };
    let code = alveary_testing::code("r0 = 1\nexit", |_, _| unreachable!("there is no symbol"));
    let loaded = ProgLoad {
        license: c"GPL",
        expected: Some(AttachType::CGROUP_INET_EGRESS),
        ..ProgLoad::new(ProgType::CGROUP_SKB, &code)
    }
    .load()
    .expect("the kernel takes it");
    let folder = std::fs::File::open(&cgroup.0).expect("it was made");
    let link = LinkCreate::new(loaded.fd.as_fd(), Target::Fd(folder.as_fd()), AttachType::CGROUP_INET_EGRESS)
        .create()
        .expect("the kernel attaches it");
    let id = alveary_linux::sys::link_info(link.as_fd()).expect("the kernel tells").id.to_string();
    same(&["link", "show", "id", &id]);
    let detached = output(env!("CARGO_BIN_EXE_alveary"), &["link", "detach", "id", &id]);
    assert!(detached.status.success(), "{}", text(&detached.stderr));
    let attached =
        ProgQuery { target: Target::Fd(folder.as_fd()), ty: AttachType::CGROUP_INET_EGRESS, flags: 0 }.query();
    assert!(attached.expect("the kernel tells").progs.is_empty());
    same(&["link", "show", "id", &id]);
}

/// Where cgroup2 is, alone or beside the first version.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// A cgroup of the test's own.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn named(name: &str) -> Option<Cgroup> {
        let root = CGROUPS.iter().map(std::path::Path::new).find(|root| root.join("cgroup.controllers").exists())?;
        let path = root.join(format!("alveary-cli-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Cgroup(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.0).ok();
    }
}
