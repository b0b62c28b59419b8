//! Linking against what bpftool links, and what does not fit together.

use crate::common::{compile, kernel};
use alveary_btf::{Builder, Kind, Member, New, Type};
use alveary_isa::Insn;
use alveary_object::{Input, Options, link, read, resolve};
use alveary_spec::Spec;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

const BPFTOOL: &str = "/usr/sbin/bpftool";

fn linked(objects: &[Vec<u8>]) -> Result<Vec<u8>, Vec<String>> {
    let names = ["a.o", "b.o", "c.o"];
    let inputs: Vec<_> = names.iter().zip(objects).map(|(name, bytes)| Input { name, bytes }).collect();
    link(&inputs).map_err(|problems| problems.iter().map(told).collect())
}

/// A message with all that it says.
fn told(problem: &alveary_diag::Diagnostic) -> String {
    let notes = problem.notes.iter().map(|n| format!("\nnote: {n}"));
    let help = problem.help.iter().map(|h| format!("\nhelp: {h}"));
    format!("{}: {problem}{}", problem.code.0, notes.chain(help).collect::<String>())
}

/// Three objects that share all that objects can share.
const SOURCES: [&str; 3] = [
    r#"
    struct pair { int a; long b; };
    struct rates { __uint(type, 1); __uint(max_entries, 16); __type(key, __u32); __type(value, struct pair); };
    extern struct rates rates SEC(".maps");
    extern int shared; extern const volatile long limit; extern int common(struct pair *p, int n);
    extern int CONFIG_HZ __attribute__((section(".kconfig"))); extern int missing(int) __attribute__((weak));
    extern int kfunc(void) __attribute__((section(".ksyms"), weak));
    struct task { int pid; } __attribute__((preserve_access_index));
    static volatile int here = 3;
    static noinline int twice(int n) { here += n; return n * 2; }
    __attribute__((weak)) noinline int chosen(int n) { here++; return n + 1; }
    SEC("xdp") int first(struct xdp_md *ctx) {
        struct pair p = { ctx->data, 2 };
        __u32 key = 0;
        struct pair *rate = bpf_map_lookup_elem(&rates, &key);
        if (rate) rate->a += shared;
        if (kfunc) shared += kfunc();
        return common(&p, twice(here)) + chosen(2) + limit + CONFIG_HZ;
    }
    SEC("tc") int pid(struct task *t) { return t->pid + twice(1); }
    char _license[] SEC("license") = "GPL";"#,
    r#"
    struct pair { int a; long b; };
    struct rates { __uint(type, 1); __uint(max_entries, 16); __type(key, __u32); __type(value, struct pair); };
    struct rates rates SEC(".maps");
    struct { __uint(type, 3); __uint(max_entries, 2); __type(key, __u32); __array(values, int (void *)); }
        jumps SEC(".maps") = { .values = { [1] = (void *)0 } };
    int shared = 11; const volatile long limit = 5; long zero;
    extern int CONFIG_HZ __attribute__((section(".kconfig")));
    static volatile int here = 4;
    static noinline int twice(int n) { here -= n; return n + n + 1; }
    __attribute__((visibility("hidden"))) noinline int common(struct pair *p, int n) { return p->a + twice(n) + zero; }
    noinline int chosen(int n) { return n + 2 + CONFIG_HZ; }
    SEC("xdp") int second(struct xdp_md *ctx) {
        static const char format[] = "text";
        bpf_tail_call(ctx, &jumps, 1);
        return twice(ctx->data) + format[ctx->data & 3];
    }
    char _license[] SEC("license") = "GPL";"#,
    r#"
    struct task { long flags; int pid; } __attribute__((preserve_access_index));
    struct pair { int a; long b; };
    extern int shared;
    int common(struct pair *p, int n);
    static noinline int twice(int n) { return n * 5; }
    static long each(void *map, const void *key, void *value, void *ctx) { shared += 1; return 0; }
    extern struct { __uint(type, 1); __uint(max_entries, 16); __type(key, __u32); __type(value, struct pair); }
        rates SEC(".maps");
    SEC("tc") int third(struct task *t) {
        struct pair p = { 1, t->pid };
        bpf_for_each_map_elem(&rates, each, &p, 0);
        return common(&p, twice(t->flags));
    }"#,
];

fn objects(test: &str, options: &[&str]) -> Option<Vec<Vec<u8>>> {
    SOURCES.iter().map(|source| compile(test, source, options)).collect()
}

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// What bpftool links; `None`, and a word about it, if it is not there.
fn theirs(test: &str, objects: &[Vec<u8>]) -> Option<Vec<u8>> {
    let scratch = Scratch::new(test);
    let inputs: Vec<_> = objects.iter().enumerate().map(|(i, o)| scratch.file(&format!("{i}.o"), o)).collect();
    let output = scratch.0.join("out.o");
    let Ok(ran) = Command::new(BPFTOOL).args(["gen", "object"]).arg(&output).args(inputs).output() else {
        eprintln!("SKIP {test}: bpftool is missing");
        return None;
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(fs::read(output).unwrap())
}

/// What differs between two linkers that do the same: nothing of this.
#[derive(Debug, PartialEq)]
struct Loaded {
    programs: Vec<(String, Vec<Insn>)>,
    maps: Vec<(String, String)>,
    types: Vec<usize>,
}

fn loaded(spec: &Spec) -> Loaded {
    let mut kernel = kernel();
    kernel.kconfig = [("CONFIG_HZ".to_owned(), "250".to_owned())].into();
    // Another kernel's `task`.
    let mut types = Builder::new(spec.endian);
    let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let pid = Member { name: "pid", ty: int, bit_offset: 96, bits: None };
    types.add(&New::Struct { name: "task", size: 16, members: &[pid] });
    kernel.btf = Some(types.finish().unwrap().into());
    kernel.symbols = Some(Default::default());
    let resolved = resolve(spec, &kernel, &Options::default()).unwrap();
    let maps = resolved.maps.iter().map(|(name, m)| (name.clone(), format!("{:?} {:?}", m.def, m.initial)));
    let btf = spec.btf.as_ref().unwrap();
    let mut kinds = vec![0; 20];
    btf.ids().filter_map(|id| btf.ty(id)).for_each(|ty| kinds[ty.kind() as usize] += 1);
    Loaded {
        programs: resolved.programs.iter().map(|p| (p.name.to_string(), p.insns.clone())).collect(),
        maps: maps.collect(),
        types: kinds,
    }
}

#[test]
fn bpftool_links_the_same() {
    let test = "bpftool_links_the_same";
    for options in [&["-g", "-mcpu=v1"][..], &["-g", "-mcpu=v3"], &["-g", "-mcpu=v4"]] {
        let Some(objects) = objects(test, options) else { return };
        let Some(theirs) = theirs(test, &objects) else { return };
        let ours = linked(&objects).unwrap();
        let (ours, theirs) = (read(&ours).unwrap(), read(&theirs).unwrap());
        assert_eq!(format!("{:?}", ours.programs), format!("{:?}", theirs.programs));
        assert_eq!(loaded(&ours), loaded(&theirs));
    }
}

#[test]
fn big_endian_objects_are_linked_to_one() {
    let test = "big_endian_objects_are_linked_to_one";
    let Some(big) = objects(test, &["-g", "big"]) else { return };
    let little = objects(test, &["-g"]).unwrap();
    let [big, little] = [big, little].map(|objects| loaded(&read(&linked(&objects).unwrap()).unwrap()));
    assert_eq!(big.types, little.types);
    let shape = |of: &Loaded| of.programs.iter().map(|(name, insns)| (name.clone(), insns.len())).collect::<Vec<_>>();
    assert_eq!(shape(&big), shape(&little));
}

#[test]
fn what_is_shared_becomes_one_and_what_is_static_does_not() {
    let test = "what_is_shared_becomes_one_and_what_is_static_does_not";
    let Some(objects) = objects(test, &["-g", "-mcpu=v3"]) else { return };
    let spec = read(&linked(&objects).unwrap()).unwrap();
    let programs: Vec<_> = spec.programs.keys().map(String::as_str).collect();
    assert_eq!(programs, ["first", "pid", "second", "third"]);
    assert_eq!(spec.functions.keys().filter(|name| name.starts_with("twice")).count(), 3);
    assert!(!spec.functions["common"].global, "hidden is hidden");
    let externs: Vec<_> = spec.externs.keys().map(String::as_str).collect();
    assert_eq!(externs, ["CONFIG_HZ", "kfunc"]);
    let maps: Vec<_> = spec.maps.keys().map(String::as_str).collect();
    assert_eq!(maps, [".bss", ".data", ".kconfig", ".rodata", ".rodata.str1.1", "jumps", "rates"]);
    let btf = spec.btf.unwrap();
    let count = |name: &str, kind| btf.named(name).filter(|id| btf.ty(*id).is_some_and(|t| t.kind() == kind)).count();
    assert_eq!(count("pair", Kind::Struct), 1, "one type");
    assert_eq!(count("task", Kind::Struct), 2, "two views of the kernel's");
    assert_eq!((count("here", Kind::Var), count("shared", Kind::Var)), (2, 1));
    let common = btf.find("common", Kind::Func).unwrap();
    let Some(Type::Func { proto, .. }) = btf.ty(common) else { panic!("a function") };
    let Type::FuncProto(proto) = btf.resolved(proto) else { panic!("a prototype") };
    assert_eq!(proto.params().map(|p| p.name).collect::<Vec<_>>(), ["p", "n"], "the definition's");
    for program in ["first", "second", "third"] {
        let function = &spec.functions[program];
        assert!(!function.lines.is_empty() && function.funcs.len() == 1, "{program}");
        assert_eq!(btf.name(function.funcs[0].ty), program);
        assert!(function.lines.iter().all(|line| btf.string(line.file).is_some_and(|f| f.ends_with("<stdin>"))));
    }
    assert_eq!(btf.describe_core(&spec.functions["third"].core[0]), "offset of field `struct task.pid`");
}

#[test]
fn one_license_is_kept_whoever_sees_it() {
    let test = "one_license_is_kept_whoever_sees_it";
    let own = "static char own[] SEC(\"license\") = \"GPL\"; int a = 1;";
    let global = "char _license[] SEC(\"license\") = \"GPL\"; SEC(\"xdp\") int f(void *c) { return 1; }";
    let (Some(own), Some(global)) = (compile(test, own, &["-g"]), compile(test, global, &["-g"])) else { return };
    for objects in [[own.clone(), global.clone()], [global, own]] {
        let spec = read(&linked(&objects).unwrap()).unwrap();
        let btf = spec.btf.unwrap();
        let section = btf.find("license", Kind::DataSec).and_then(|id| btf.ty(id));
        let Some(Type::DataSec(section)) = section else { panic!("a license") };
        assert_eq!((spec.license.as_str(), section.vars().len(), section.size), ("GPL", 1, 4));
    }
}

/// What is wrong with two sources.
fn conflict(test: &str, a: &str, b: &str) -> Option<String> {
    let [a, b] = [a, b].map(|source| compile(test, source, &["-g", "-mcpu=v3", "-fdebug-compilation-dir=/src"]));
    Some(linked(&[a?, b?]).expect_err("a conflict").join("\n\n"))
}

#[test]
fn conflicts_name_both_sides() {
    let test = "conflicts_name_both_sides";
    let map = |rest: &str| {
        format!(
            "struct {{ __uint(type, 1); __uint(max_entries, 8); __type(key, __u32); {rest} }} table SEC(\".maps\");
            SEC(\"xdp\") int f(void *c) {{ return (long)bpf_map_lookup_elem(&table, c); }}"
        )
    };
    let cases = [
        ("int counter = 1;".to_owned(), "long other; long counter = 2;".to_owned()),
        (
            "noinline int add(int a, int b) { return a + b; }".to_owned(),
            "int add(int a, long b); SEC(\"xdp\") int f(void *c) { return add(1, 2); }".to_owned(),
        ),
        (
            "struct s { int a; int b; }; struct s state = { 1 };".to_owned(),
            "struct s { int a; short b; }; extern struct s state; SEC(\"tc\") int f(void *c) { return state.b; }"
                .to_owned(),
        ),
        (map("__type(value, __u64);"), format!("extern {}", map("__type(value, __u32);").replace("int f(", "int g("))),
        (
            map("__type(value, __u64);"),
            format!(
                "extern {}",
                map("__type(value, __u64);").replace("type, 1", "type, 5").replace("int f(", "int g(")
            ),
        ),
        (
            "extern int wanted(void) SEC(\".ksyms\"); SEC(\"xdp\") int f(void *c) { return wanted(); }".to_owned(),
            "noinline int wanted(void) { return 3; }".to_owned(),
        ),
        ("char l[] SEC(\"license\") = \"GPL\";".to_owned(), "char l[] SEC(\"license\") = \"MIT\";".to_owned()),
        ("int a SEC(\".data.x\") = 1;".to_owned(), "const int b SEC(\".data.x\") = 1;".to_owned()),
    ];
    let mut found = String::new();
    for (a, b) in cases {
        let Some(text) = conflict(test, &a, &b) else { return };
        found += &format!("{text}\n\n");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/link-conflicts.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "UPDATE=1 renews {}", path.display());
}

#[test]
fn objects_that_cannot_go_together_are_refused() {
    let test = "objects_that_cannot_go_together_are_refused";
    let Some(little) = compile(test, "int a = 1;", &["-g"]) else { return };
    let big = compile(test, "int b = 1;", &["-g", "big"]).unwrap();
    let untyped = compile(test, "extern int a; int f(void *c) { return a; }", &[]).unwrap();
    let code = |objects: &[Vec<u8>]| linked(objects).unwrap_err()[0].split(':').next().unwrap().to_owned();
    assert_eq!(code(&[little.clone(), big]), "link-endian");
    assert_eq!(code(&[little.clone(), untyped]), "link-untyped");
    assert_eq!(code(&[little.clone(), b"text".to_vec()]), "elf-magic");
    assert_eq!(code(&[]), "link-nothing");
    assert_eq!(code(&[little.clone(), little]), "link-twice");
}

#[test]
fn damaged_objects_never_panic() {
    let test = "damaged_objects_never_panic";
    let Some(objects) = objects(test, &["-g", "-gno-column-info"]) else { return };
    let [first, second, _] = &objects[..] else { panic!("three") };
    for at in (0..first.len()).step_by(11) {
        let mut bytes = first.clone();
        bytes[at] ^= 1 << (at % 8);
        if let Ok(result) = linked(&[bytes.clone(), second.clone()]) {
            let _ = read(&result);
        }
        let _ = linked(&[second.clone(), bytes]);
    }
}

#[test]
fn the_kernel_takes_what_was_linked() {
    let test = "the_kernel_takes_what_was_linked";
    let source = |own: &str| {
        format!(
            "struct slots {{ __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); }};
            extern int total; extern struct slots slots SEC(\".maps\"); int weigh(int n); {own}
            char _license[] SEC(\"license\") = \"GPL\";"
        )
    };
    let entry = source(
        "static volatile int seen; SEC(\"xdp\") int entry(struct xdp_md *ctx) { __u32 key = 1; seen++;
        __u64 *slot = bpf_map_lookup_elem(&slots, &key); if (slot) *slot += weigh(seen); return total > 7 ? 1 : 2; }",
    );
    let other = source(
        "struct slots slots SEC(\".maps\"); int total = 3; static volatile int seen = 4;
        noinline int weigh(int n) { total += n; return n * seen; }",
    );
    let (Some(a), Some(b)) = (compile(test, &entry, &["-g"]), compile(test, &other, &["-g"])) else { return };
    let scratch = Scratch::new(test);
    let file = scratch.file("linked.o", &linked(&[a, b]).unwrap());
    // A BPF file system of its own, which goes with the command: nothing is pinned where others see it.
    let script = "mount -t bpf bpf /sys/fs/bpf && exec \"$0\" prog load \"$1\" /sys/fs/bpf/linked";
    let arguments = ["-m", "sh", "-c", script, BPFTOOL];
    let ran = Command::new("unshare").args(arguments).arg(&file).output();
    let Some(ran) = ran.ok().filter(|_| Path::new(BPFTOOL).exists()) else {
        eprintln!("SKIP {test}: bpftool or unshare is missing");
        return;
    };
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if !ran.status.success() && ["Operation not permitted", "unshare", "mount"].iter().any(|w| said.contains(w)) {
        eprintln!("SKIP {test}: programs cannot be loaded here: {said}");
        return;
    }
    assert!(ran.status.success(), "{said}");
}
