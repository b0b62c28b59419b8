//! What clang makes of each feature, read and resolved. Skipped by name where clang-19 is missing.

use crate::common::{compile, kernel, program, refused, resolved};
use alveary_abi::{MapType, ProgType, SpecialKind};
use alveary_isa::{Endian, Insn};
use alveary_object::{Options, read, resolve};
use alveary_spec::{Attach, Initial, Program, RelocKind};

/// Names of the functions that a program calls, by its pseudo calls.
fn calls(program: &Program) -> Vec<String> {
    let target = |(at, insn): (usize, &Insn)| {
        let target = (at as i64 + 1 + i64::from(insn.imm)) as u32;
        program.subprogs.iter().find(|(start, _)| *start == target).unwrap().1.to_string()
    };
    program.insns.iter().enumerate().filter(|(_, i)| (i.op, i.src.0) == (0x85, 1)).map(target).collect()
}

/// Kind and index of each map reference, and the offset for values.
fn map_references(program: &Program) -> Vec<(u8, &str, i32)> {
    let insns = program.insns.iter().enumerate();
    insns
        .filter(|(_, i)| i.op == 0x18 && matches!(i.src.0, 5 | 6))
        .map(|(at, i)| (i.src.0, program.maps[i.imm as usize].as_str(), program.insns[at + 1].imm))
        .collect()
}

const FUNCTIONS: &str = r#"
static noinline int helper(int x) { return x * 3 + 1; }
noinline int shared(int x) { asm volatile("" : "+r"(x)); return helper(x) + 7; }
SEC("xdp") noinline int first(struct xdp_md *ctx) { return shared(ctx->data) & 1; }
SEC("xdp") int second(struct xdp_md *ctx) { return helper(ctx->data) & 1; }
SEC("?xdp/off") int third(struct xdp_md *ctx) { return 2; }
SEC("tc") int fourth(struct xdp_md *ctx) { return first(ctx); }
SEC("tracepoint/syscalls/sys_enter_openat") int fifth(void *ctx) { return 0; }
char _license[] SEC("license") = "Dual MIT/GPL";
"#;

#[test]
fn functions_stand_behind_the_programs_that_call_them() {
    for cpu in ["v1", "v2", "v3", "v4"] {
        for big in [false, true] {
            let cpu = format!("-mcpu={cpu}");
            let mut options = vec![cpu.as_str(), "-g"];
            options.extend(big.then_some("big"));
            let Some(object) = compile("functions_stand_behind_the_programs_that_call_them", FUNCTIONS, &options)
            else {
                return;
            };
            let spec = read(&object).unwrap();
            assert_eq!(spec.endian, if big { Endian::Big } else { Endian::Little });
            assert_eq!(spec.license, "Dual MIT/GPL");
            let names: Vec<_> = spec.functions.keys().map(String::as_str).collect();
            assert_eq!(names, ["fifth", "first", "fourth", "helper", "second", "shared", "third"]);
            assert_eq!(spec.programs.len(), 5, "helper and shared are none");
            assert!(spec.functions["shared"].global && !spec.functions["helper"].global);
            assert!(!spec.programs["third"].autoload && spec.programs["first"].autoload);
            assert_eq!(spec.programs["fourth"].ty, Some(ProgType::SCHED_CLS));
            let tracepoint =
                Attach::Tracepoint { category: "syscalls".to_owned(), name: "sys_enter_openat".to_owned() };
            assert_eq!(spec.programs["fifth"].attach, Some(tracepoint));

            let resolved = resolved(&spec);
            let names: Vec<_> = resolved.programs.iter().map(|p| &*p.name).collect();
            assert_eq!(names, ["first", "second", "fourth", "fifth"], "in the file's order, without `?`");
            let first = program(&resolved, "first");
            assert_eq!(calls(&first), ["shared", "helper"]);
            assert_eq!(calls(&program(&resolved, "second")), ["helper"]);
            assert_eq!(calls(&program(&resolved, "fourth")), ["first", "shared", "helper"]);
            // Each function's BTF and lines stand where the function stands.
            let starts: Vec<u32> = first.subprogs.iter().map(|(at, _)| *at).collect();
            assert_eq!(first.funcs.iter().map(|f| f.insn).collect::<Vec<_>>(), starts);
            assert_eq!(spec.btf.as_ref().unwrap().name(first.funcs[2].ty), "helper");
            assert!(first.lines.is_sorted_by_key(|l| l.insn));
            let at = alveary_diag::Place::Insn { prog: "first".into(), index: starts[2] };
            let line = alveary_diag::Sources::source(&*first, &at).unwrap();
            // Line 14 is that of `helper`; a source from standard input has lines without text.
            assert_eq!((line.line, line.file.ends_with("<stdin>")), (14, true));
        }
    }
}

#[test]
fn programs_of_one_choice_take_along_only_what_they_need() {
    let Some(object) = compile("programs_of_one_choice_take_along_only_what_they_need", FUNCTIONS, &[]) else { return };
    let spec = read(&object).unwrap();
    assert!(spec.btf.is_none(), "no -g, no BTF");
    let wanted = |name: &str| Options { programs: Some(vec![name.to_owned()]), ty: None };
    let resolved = resolve(&spec, &kernel(), &wanted("third")).unwrap();
    assert_eq!(resolved.programs.len(), 1);
    let errors = resolve(&spec, &kernel(), &wanted("secnd")).unwrap_err();
    assert_eq!(errors[0].to_string(), "the object has no program `secnd`");
    assert_eq!(errors[0].help, ["did you mean `second`?"]);
}

const MAPS: &str = r#"
struct lock { int counter; } __attribute__((preserve_access_index));
struct bpf_spin_lock { __u32 val; };
struct bpf_timer { __u64 opaque[2]; } __attribute__((aligned(8)));
struct value { __u64 count; struct bpf_timer timer; struct bpf_spin_lock lock; };
struct {
    __uint(type, 1); __uint(max_entries, 1024); __uint(map_flags, 1); __uint(pinning, 1); __uint(numa_node, 3);
    __type(key, __u32); __type(value, struct value);
} hash SEC(".maps");
struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); };
struct inner one SEC(".maps"), two SEC(".maps");
struct {
    __uint(type, 12); __uint(max_entries, 3); __uint(key_size, 4);
    __array(values, struct inner);
} outer SEC(".maps") = { .values = { [2] = &two, [0] = &one } };
int target(struct xdp_md *ctx);
struct {
    __uint(type, 3); __uint(max_entries, 2); __uint(key_size, 4);
    __array(values, int (struct xdp_md *));
} jumps SEC(".maps") = { .values = { [1] = &target } };
struct { __uint(type, 27); __uint(max_entries, 4096); __ulong(map_extra, 0x100000000); } events SEC(".maps");
SEC("?xdp") int target(struct xdp_md *ctx) { return 1; }
SEC("xdp") int entry(struct xdp_md *ctx) {
    __u32 key = 1;
    struct value *v = bpf_map_lookup_elem(&hash, &key);
    if (v) v->count++;
    if (bpf_map_lookup_elem(&outer, &key)) bpf_tail_call(ctx, &jumps, 1);
    return 2;
}
"#;

#[test]
fn maps_are_read_from_btf() {
    for options in [&["-g"][..], &["-g", "big", "-mcpu=v4"]] {
        let Some(object) = compile("maps_are_read_from_btf", MAPS, options) else { return };
        let spec = read(&object).unwrap();
        let hash = &spec.maps["hash"];
        assert_eq!((hash.def.ty, hash.def.max_entries, hash.def.flags), (MapType::HASH, 1024, 1));
        assert_eq!((hash.def.key_size, hash.def.value_size), (4, 32));
        assert_eq!((hash.pin_by_name, hash.numa_node), (true, Some(3)));
        let special: Vec<_> = hash.def.special.iter().map(|s| (s.off, s.kind)).collect();
        assert_eq!(special, [(8, SpecialKind::Timer), (24, SpecialKind::SpinLock)]);
        assert_eq!(spec.btf.as_ref().unwrap().c_name(hash.value_type.unwrap()), "struct value");

        let outer = &spec.maps["outer"];
        assert_eq!((outer.def.ty, outer.def.value_size), (MapType::ARRAY_OF_MAPS, 4));
        assert_eq!(outer.inner.as_ref().unwrap().def.max_entries, 4);
        let name = |n: &str| Some(n.to_owned());
        assert_eq!(outer.initial, Initial::Maps(vec![name("one"), None, name("two")]));
        assert_eq!(spec.maps["jumps"].initial, Initial::Programs(vec![None, name("target")]));
        assert_eq!(spec.maps["events"].def.extra, 0x1_0000_0000);

        let resolved = resolved(&spec);
        let entry = program(&resolved, "entry");
        assert_eq!(map_references(&entry), [(5, "hash", 0), (5, "outer", 0), (5, "jumps", 0)]);
        assert_eq!(resolved.programs.len(), 2, "a program in a prog array that is used comes along");
        assert_eq!(resolved.maps["jumps"].initial, Initial::Programs(vec![None, name("target")]));
        let only = Options { programs: Some(vec!["target".to_owned()]), ty: None };
        let only = resolve(&spec, &kernel(), &only).unwrap();
        assert_eq!(only.maps["jumps"].initial, Initial::Programs(vec![None, name("target")]));
    }
}

const DATA: &str = r#"
const volatile __u32 limit = 5;
const volatile char text[8] = "hello";
__u64 counter = 7;
static volatile int zero;
__u32 tuned SEC(".data.tuning") = 9;
static int each(void *map, __u32 *key, __u64 *value, void *ctx) { counter += *value; return 0; }
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } numbers SEC(".maps");
SEC("xdp") int entry(struct xdp_md *ctx) {
    bpf_for_each_map_elem(&numbers, each, (void *)0, 0);
    zero++;
    return limit + counter + text[ctx->data & 3] + tuned;
}
"#;

#[test]
fn globals_are_maps_and_functions_have_addresses() {
    for options in [&["-g"][..], &["-g", "big"]] {
        let Some(object) = compile("globals_are_maps_and_functions_have_addresses", DATA, options) else { return };
        let spec = read(&object).unwrap();
        let rodata = &spec.maps[".rodata"];
        assert_eq!((rodata.def.ty, rodata.def.flags, rodata.freeze), (MapType::ARRAY, 128, true));
        let Initial::Bytes(bytes) = &rodata.initial else { panic!("{:?}", rodata.initial) };
        assert_eq!(bytes[..4], if options.len() == 1 { [5, 0, 0, 0] } else { [0, 0, 0, 5] });
        assert_eq!((spec.maps[".bss"].def.value_size, &spec.maps[".bss"].initial), (4, &Initial::Empty));
        assert_eq!((spec.maps[".data"].def.value_size, spec.maps[".data"].freeze), (8, false));
        assert!(matches!(&spec.maps[".data.tuning"].initial, Initial::Bytes(b) if b.contains(&9)));
        // The compiler leaves the layout of data sections to us.
        let btf = spec.btf.as_ref().unwrap();
        let shown = btf.value(rodata.value_type.unwrap(), bytes).to_string();
        assert_eq!(shown, "{.limit = 5, .text = \"hello\"}");

        let resolved = resolved(&spec);
        let entry = program(&resolved, "entry");
        let references = map_references(&entry);
        assert_eq!(references[0], (5, "numbers", 0));
        assert!(references.contains(&(6, ".rodata", 0)) && references.contains(&(6, ".rodata", 4)), "{references:?}");
        assert!(references.contains(&(6, ".data", 0)) && references.contains(&(6, ".bss", 0)), "{references:?}");
        let (at, insn) = entry.insns.iter().enumerate().find(|(_, i)| (i.op, i.src.0) == (0x18, 4)).unwrap();
        let target = (at as i64 + 1 + i64::from(insn.imm)) as u32;
        assert_eq!(&*entry.subprogs.iter().find(|(start, _)| *start == target).unwrap().1, "each");
    }
}

const LEGACY: &str = r#"
struct bpf_map_def { __u32 type, key_size, value_size, max_entries, flags; };
struct bpf_map_def SEC("maps") first = { 1, 4, 8, 16, 1 };
struct bpf_map_def SEC("maps") second = { 2, 4, 4, 1, 0 };
SEC("prog") int entry(struct xdp_md *ctx) { int k = 0; return !!bpf_map_lookup_elem(&second, &k); }
"#;

#[test]
fn legacy_maps_are_read_and_the_type_is_asked_for() {
    let Some(object) = compile("legacy_maps_are_read_and_the_type_is_asked_for", LEGACY, &[]) else { return };
    let mut spec = read(&object).unwrap();
    let first = &spec.maps["first"].def;
    assert_eq!((first.ty, first.key_size, first.value_size), (MapType::HASH, 4, 8));
    assert_eq!((first.max_entries, first.flags), (16, 1));
    // Whether or not the tables know `prog`, an unknown section must be asked about.
    let entry = spec.programs.get_mut("entry").unwrap();
    (entry.ty, entry.section) = (None, "xpd".into());
    let errors = resolve(&spec, &kernel(), &Options::default()).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "section xpd, offset 0x0: section `xpd` does not tell the type of program `entry`"
    );
    assert_eq!(errors[0].help[1], "or did you mean `SEC(\"xdp\")`?");
    let typed = Options { programs: None, ty: Some(ProgType::XDP) };
    let resolved = resolve(&spec, &kernel(), &typed).unwrap();
    assert_eq!(map_references(&program(&resolved, "entry")), [(5, "second", 0)]);
}

const IPROUTE: &str = r#"
struct bpf_elf_map { __u32 type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx; };
struct bpf_elf_map SEC("maps") jumps = { 3, 4, 4, 4, 0, 7, 2 };
struct bpf_elf_map SEC("maps") inner = { 2, 4, 8, 1, 0, 9, 0, 0, 1 };
struct bpf_elf_map SEC("maps") outer = { 12, 4, 4, 4, 0, 0, 0, 9 };
SEC("7/2") int callee(struct xdp_md *ctx) { return 0; }
SEC("classifier") int entry(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 2); return !!&outer; }
"#;

#[test]
fn maps_of_iproute2_are_read() {
    let Some(object) = compile("maps_of_iproute2_are_read", IPROUTE, &[]) else { return };
    let spec = read(&object).unwrap();
    let name = |n: &str| Some(n.to_owned());
    assert_eq!(spec.maps["jumps"].initial, Initial::Programs(vec![None, None, name("callee")]));
    assert!(spec.maps["jumps"].pin_by_name);
    assert_eq!(spec.maps["outer"].initial, Initial::Maps(vec![None, name("inner")]));
    assert_eq!(spec.maps["outer"].inner.as_ref().unwrap().def.value_size, 8);
    assert_eq!(spec.programs["entry"].ty, Some(ProgType::SCHED_CLS));
}

const NEEDS: &str = r#"
extern int CONFIG_HZ __attribute__((section(".kconfig")));
extern int jiffies_like __attribute__((section(".ksyms")));
extern void kernel_function(void) __attribute__((section(".ksyms")));
struct task { int pid; struct { int deep; } in; } __attribute__((preserve_access_index));
extern struct { __uint(type, 2); __uint(max_entries, 1); } elsewhere SEC(".maps");
int arena_page __attribute__((section(".addr_space.1")));
void nowhere(void); void nowhery(void) { asm volatile(""); }
SEC("xdp") int config(struct xdp_md *ctx) { return CONFIG_HZ; }
SEC("xdp") int symbol(struct xdp_md *ctx) { return (long)&jiffies_like; }
SEC("xdp") int kfunc(struct xdp_md *ctx) { kernel_function(); return 0; }
SEC("xdp") int core(struct task *t) { return t->in.deep; }
SEC("xdp") int missing(struct xdp_md *ctx) { nowhere(); return 0; }
SEC("xdp") int map(struct xdp_md *ctx) { int k = 0; return !!bpf_map_lookup_elem(&elsewhere, &k); }
SEC("xdp") int page(struct xdp_md *ctx) { return arena_page; }
SEC("xdp") int fine(struct xdp_md *ctx) { return 2; }
"#;

#[test]
fn what_the_kernel_has_to_give_is_refused_by_name_when_it_is_wanted() {
    let test = "what_the_kernel_has_to_give_is_refused_by_name_when_it_is_wanted";
    let Some(object) = compile(test, NEEDS, &["-g"]) else { return };
    let spec = read(&object).unwrap();
    assert_eq!(spec.functions["config"].relocs[0].kind, RelocKind::Extern("CONFIG_HZ".to_owned()));
    assert_eq!(spec.functions["kfunc"].relocs[0].kind, RelocKind::Kfunc("kernel_function".to_owned()));
    assert_eq!(spec.functions["core"].core.len(), 1);
    let mut errors = refused(&spec);
    errors.sort();
    assert_eq!(
        errors,
        [
            "config: instruction 0: the program needs `CONFIG_HZ`, and the kernel's configuration is not known",
            "core: instruction 0: the offset of field `struct task.in.deep` cannot be told: the kernel's types are not \
             known",
            "kfunc: instruction 0: the program needs the kernel's function `kernel_function`, and this kernel gives \
             programs none of its own",
            "map: instruction 4: the program needs `elsewhere`, which is no map, data or function of the object",
            "missing: instruction 0: a call of `nowhere`, which the object does not define",
            "page: instruction 0: the program needs `arena_page`, which is no map, data or function of the object",
            "symbol: instruction 0: the program needs the kernel's variable `jiffies_like`, and this kernel gives \
             programs none of its own",
        ]
    );
    let fine = Options { programs: Some(vec!["fine".to_owned()]), ty: None };
    assert_eq!(resolve(&spec, &kernel(), &fine).unwrap().programs.len(), 1);
    let missing = Options { programs: Some(vec!["missing".to_owned()]), ty: None };
    assert_eq!(resolve(&spec, &kernel(), &missing).unwrap_err()[0].help, ["did you mean `nowhery`?"]);
}

#[test]
fn addresses_in_data_are_refused_by_name_when_they_are_used() {
    let source = r#"
        static noinline int callee(void) { return 3; }
        int (*volatile table[2])(void) = { callee, callee };
        SEC("xdp") int entry(struct xdp_md *ctx) { return (long)table[ctx->data & 1]; }
        SEC("?xdp") int other(struct xdp_md *ctx) { return 0; }
    "#;
    let Some(object) = compile("addresses_in_data_are_refused_by_name_when_they_are_used", source, &["-g"]) else {
        return;
    };
    let spec = read(&object).unwrap();
    let errors = refused(&spec);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("`.data` should hold the address of"), "{errors:?}");
    let other = Options { programs: Some(vec!["other".to_owned()]), ty: None };
    assert!(resolve(&spec, &kernel(), &other).is_ok());
}

#[test]
fn functions_alone_in_text_are_programs() {
    let source = "static noinline int own(int x) { asm volatile(\"\" : \"+r\"(x)); return x; }\n\
                  int filter(int x) { return own(x) + own(x + 1); }";
    let Some(object) = compile("functions_alone_in_text_are_programs", source, &[]) else { return };
    let spec = read(&object).unwrap();
    assert_eq!(spec.programs.keys().collect::<Vec<_>>(), ["filter"]);
    assert_eq!(spec.programs["filter"].ty, None);
    let typed = Options { programs: None, ty: Some(ProgType::SOCKET_FILTER) };
    assert_eq!(calls(&resolve(&spec, &kernel(), &typed).unwrap().programs[0]), ["own", "own"]);
}

#[test]
fn static_functions_may_share_a_name() {
    let source = "static SEC(\"one\") noinline int same(int x) { asm volatile(\"\" : \"+r\"(x)); return x; }\n\
                  static SEC(\"two\") noinline int sane(int x) { asm volatile(\"\" : \"+r\"(x)); return x; }\n\
                  SEC(\"xdp\") int entry(struct xdp_md *ctx) { return same(1) + sane(2); }";
    let Some(mut object) = compile("static_functions_may_share_a_name", source, &[]) else { return };
    // As a static linker would leave them.
    let at = object.windows(5).position(|w| w == b"sane\0").unwrap();
    object[at..at + 4].copy_from_slice(b"same");
    let spec = read(&object).unwrap();
    assert_eq!(spec.functions.keys().collect::<Vec<_>>(), ["entry", "same", "same@two"]);
    assert_eq!(calls(&program(&resolved(&spec), "entry")), ["same", "same@two"]);
}

#[test]
fn recursion_is_laid_out_once() {
    let source = "noinline int twice(int x) { return x ? twice(x - 1) * 2 + x * twice(x - 2) : 1; }\n\
                  SEC(\"xdp\") int entry(struct xdp_md *ctx) { return twice(ctx->data); }";
    let Some(object) = compile("recursion_is_laid_out_once", source, &["-g"]) else { return };
    let resolved = resolved(&read(&object).unwrap());
    let entry = program(&resolved, "entry");
    assert_eq!(entry.subprogs.len(), 2);
    assert!(calls(&entry).iter().all(|callee| callee == "twice"));
}
