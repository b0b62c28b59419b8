//! libbpf's loader as peer: of the same object, bpftool makes the same maps and programs.

use crate::support::{allowed, path};
use alveary::{
    Linux, Object,
    abi::flags::BPF_F_MMAPABLE,
    btf::{Btf, Linkage, Type, TypeId},
    kernel::sys::{self, MapInfo, ProgParts},
};
use std::{
    io::{BufRead, BufReader},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Loads every program of an object by bpftool and tells their ids, in a BPF file system that ends with the shell, which
/// waits for its input to end: nothing that libbpf pins by name stays.
const LOAD: &str = r#"
    mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall "$0" /sys/fs/bpf/alveary >&2 || exit 1
    for program in /sys/fs/bpf/alveary/*; do
        bpftool -j prog show pinned "$program" | sed 's/^{"id":\([0-9]*\).*/\1/'
    done
    echo ready; read -r end"#;

/// Every kind of map that comes from something else than its own definition, and constants that no program reads.
const SOURCE: &str = r#"
    extern unsigned LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
    const volatile int limit = 7; int seen = 3; long zero; static volatile int own SEC(".data.own") = 4;
    static volatile const char bpf_metadata_author[] SEC(".rodata.meta") = "nobody";
    struct inner { __uint(type, 2); __uint(max_entries, 1); __type(key, int); __type(value, long); };
    struct inner one SEC(".maps");
    struct { __uint(type, 12); __uint(max_entries, 2); __type(key, int); __array(values, struct inner); }
        outer SEC(".maps") = { .values = { [1] = &one } };
    struct { __uint(type, 1); __uint(max_entries, 5); __uint(map_flags, 1); __type(key, long); __type(value, char[3]); }
        recent SEC(".maps");
    struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
    struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
    char LICENSE[] SEC("license") = "GPL";
    SEC("xdp") int entry(struct xdp_md *ctx) {
        int key = 1;
        void *inner = bpf_map_lookup_elem(&outer, &key);
        asm volatile("" : : "r"(&recent), "r"(&events), "r"(&ring), "r"(inner));
        own += seen++; zero += own;
        return limit + LINUX_KERNEL_VERSION;
    }
    SEC("xdp") int nothing(struct xdp_md *ctx) { return 2; }"#;

/// Our objects, and those of Debian's libxdp.
fn objects() -> Vec<PathBuf> {
    let mut all: Vec<_> = ["count.bpf.o", "filter.bpf.o", "rewrite.bpf.o"].into_iter().map(path).collect();
    let debian = std::fs::read_dir("/usr/lib/x86_64-linux-gnu/bpf").into_iter().flatten().flatten();
    all.extend(debian.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "o")));
    all.sort();
    all
}

#[test]
fn programs_and_maps_are_those_that_libbpf_makes() {
    let test = "programs_and_maps_are_those_that_libbpf_makes";
    if !allowed(test) {
        return;
    }
    if Command::new("bpftool").arg("version").output().is_err() {
        eprintln!("SKIP {test}: bpftool is missing");
        return;
    }
    let compared: usize = objects().iter().map(|path| compare(path)).sum();
    assert!(compared >= 3, "{compared} programs compared");
    let Some(bytes) = alveary_testing::compile(test, SOURCE, "bpf", &["-g"]) else { return };
    let file = std::env::temp_dir().join(format!("alveary-{}-all_kinds.bpf.o", std::process::id()));
    std::fs::write(&file, bytes).expect("a file");
    let compared = compare(&file);
    std::fs::remove_file(&file).expect("it was there");
    assert_eq!(compared, 2);
}

/// A program as the kernel describes it: name, tag, maps.
type Described = (String, [u8; 8], Vec<MapInfo>);

/// Loads an object both ways; gives how many programs were compared. What bpftool loads, we must.
fn compare(path: &Path) -> usize {
    let file = path.display();
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", LOAD]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.stderr(Stdio::piped()).spawn().expect("a shell");
    let Some(mut theirs) = described(&mut shell) else {
        let said = shell.wait_with_output().expect("its end").stderr;
        // bpftool's libbpf is older than some rules of kernels; that we load more is no fault.
        eprintln!("{file}: not loaded by bpftool: {}", String::from_utf8_lossy(&said));
        return 0;
    };
    drop(shell.stdin.take());
    shell.wait().expect("its end");
    let loaded = Object::open(path).and_then(|object| object.load(Linux::builder().without_pins().build()));
    let loaded = loaded.unwrap_or_else(|e| panic!("{file}: loaded by bpftool, refused by us: {e}\n{}", e.log()));
    let mut ours: Vec<_> = loaded.programs().map(|program| describe(program.handle().as_fd())).collect();
    let types = loaded.programs().next().and_then(|program| program.spec().btf.clone()).expect("types");
    // Before its version 1.2 libbpf had those sections mapped, too, in which all is static.
    for map in theirs.iter_mut().flat_map(|(_, _, maps)| maps).filter(|map| is_static(&types, map.btf_value_type)) {
        map.map_flags &= !BPF_F_MMAPABLE;
    }
    ours.sort_by_key(|(name, tag, _)| (name.clone(), *tag));
    theirs.sort_by_key(|(name, tag, _)| (name.clone(), *tag));
    assert_eq!(ours, theirs, "{file}");
    ours.len()
}

fn is_static(types: &Btf, section: TypeId) -> bool {
    let Some(Type::DataSec(section)) = types.ty(section) else { return false };
    section.vars().all(|var| matches!(types.ty(var.ty), Some(Type::Var { linkage: Linkage::Static, .. })))
}

/// The programs that bpftool loaded, while they are there; `None` if it did not.
fn described(shell: &mut Child) -> Option<Vec<Described>> {
    let lines = BufReader::new(shell.stdout.as_mut().expect("a pipe")).lines().map_while(Result::ok);
    let mut ids = Vec::new();
    for line in lines {
        match line.trim() {
            "ready" => {
                let open = |id| sys::open_id(sys::Object::Prog, id, 0, None).expect("it waits for us");
                return Some(ids.into_iter().map(|id| describe(open(id).as_fd())).collect());
            }
            id => ids.push(id.parse().expect("an id")),
        }
    }
    None
}

fn describe(program: BorrowedFd<'_>) -> Described {
    let parts = ProgParts { maps: true, ..ProgParts::default() };
    let info = sys::prog_info(program, parts).expect("a description");
    let map = |id: &u32| {
        let fd = sys::open_id(sys::Object::Map, *id, 0, None).expect("the program has it");
        let found = sys::map_info(fd.as_fd()).expect("a description");
        // Which number something has is the kernel's choice; whether it has one is not.
        MapInfo { id: 0, btf_id: found.btf_id.min(1), ..found }
    };
    let mut maps: Vec<_> = info.map_ids.iter().map(map).collect();
    maps.sort_by_key(|map| map.name.clone());
    (info.name, info.tag, maps)
}
