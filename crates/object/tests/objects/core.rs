//! CO-RE relocations of every kind, against the types of kernels that are written here, and against this machine's.

use crate::common::{compile, kernel};
use alveary_btf::{Btf, CoreKind};
use alveary_isa::Insn;
use alveary_object::{
    CoreOutcome, CoreRelocation, Options, apply_core, core_relocations, minimal_types, read, resolve,
};
use alveary_spec::{Kernel, Modules, Program, Spec};
use std::sync::Arc;

/// What `bpf_core_read.h` would define.
const ASK: &str = r#"
#define CORE __attribute__((preserve_access_index))
#define field(what, f) __builtin_preserve_field_info(f, what)
#define type_info(what, t) __builtin_preserve_type_info(*(t *)0, what)
#define type_id(what, t) __builtin_btf_type_id(*(t *)0, what)
#define enumerator(what, t, v) __builtin_preserve_enum_value(*(t *)v, what)
"#;

/// The programs' view of the kernel.
const PROGRAMS: &str = r#"
struct inner { int first, second; } CORE;
struct thing {
    int number; long wide; unsigned narrow; struct inner deep; struct inner row[3]; struct inner *next;
    short few : 5; unsigned many : 11; signed char sign; int tail[];
} CORE;
struct thing___old { int former; } CORE;
struct gone { int a; } CORE;
typedef int number_t;
union either { int a; long b; } CORE;
enum state { IDLE = 1, BUSY = 2, LOST = 77 };
enum wide_state { HUGE = 0x100000001ULL };

SEC("xdp") int offset(struct thing *t) { return t->number; }
SEC("xdp") int deep(struct thing *t) { return t->deep.second; }
SEC("xdp") int element(struct thing *t) { return t->row[2].second; }
SEC("xdp") int flexible(struct thing *t) { return t->tail[5]; }
SEC("xdp") int chase(struct thing *t) { return t->next->second; }
SEC("xdp") int store(struct thing *t) { t->number = 3; return 0; }
SEC("xdp") int store_register(struct thing *t) { t->number = (long)t; return 0; }
SEC("xdp") int address(struct thing *t) { return (long)&t->deep.second - (long)t; }
SEC("xdp") int narrowed(struct thing *t) { return t->narrow; }
SEC("xdp") int signed_size(struct thing *t) { return t->sign; }
SEC("xdp") int flavour(struct thing *t) { return ((struct thing___old *)t)->former; }
SEC("xdp") int size(struct thing *t) { return field(1, t->wide); }
SEC("xdp") int exists(struct thing *t) { return field(2, t->number); }
SEC("xdp") int exists_not(struct gone *t) { return field(2, t->a); }
SEC("xdp") int is_signed(struct thing *t) { return field(3, t->sign); }
SEC("xdp") int is_unsigned(struct thing *t) { return field(3, t->narrow); }
SEC("xdp") int left(struct thing *t) { return field(4, t->many); }
SEC("xdp") int right(struct thing *t) { return field(5, t->many); }
SEC("xdp") int bits_offset(struct thing *t) { return field(0, t->many); }
SEC("xdp") int bits_size(struct thing *t) { return field(1, t->many); }
SEC("xdp") int id_local(struct thing *t) { return type_id(0, struct inner); }
SEC("xdp") int id_target(struct thing *t) { return type_id(1, struct inner); }
SEC("xdp") int id_gone(struct thing *t) { return type_id(1, struct gone); }
SEC("xdp") int type_exists(struct thing *t) { return type_info(0, union either); }
SEC("xdp") int typedef_exists(struct thing *t) { return type_info(0, number_t); }
SEC("xdp") int type_exists_not(struct thing *t) { return type_info(0, struct gone); }
SEC("xdp") int type_size(struct thing *t) { return type_info(1, struct inner); }
SEC("xdp") int type_matches(struct thing *t) { return type_info(2, struct inner); }
SEC("xdp") int type_matches_not(struct thing *t) { return type_info(2, union either); }
SEC("xdp") int value_exists(struct thing *t) { return enumerator(0, enum state, BUSY); }
SEC("xdp") int value_exists_not(struct thing *t) { return enumerator(0, enum state, LOST); }
SEC("xdp") int value(struct thing *t) { return enumerator(1, enum state, BUSY); }
SEC("xdp") int value_wide(struct thing *t) { return enumerator(1, enum wide_state, HUGE) >> 4; }
"#;

/// Another kernel: everything has moved.
const KERNEL: &str = r#"
struct inner { long before; int first, second; };
struct thing {
    union { struct { char pad[24]; struct { int number; }; }; };
    int wide; unsigned char narrow; struct inner deep; struct inner row[4]; struct inner *next;
    unsigned long a : 30, many : 13; int sign; int former; int tail[];
};
typedef short number_t;
union either { char a[16]; long b; };
enum state { IDLE = 1, RUNNING = 2, BUSY = 5 };
enum wide_state { HUGE = 0x200000030ULL };
struct thing *a; number_t b; union either c; enum state d; enum wide_state e; struct inner f;
"#;

fn types(test: &str, source: &str, options: &[&str]) -> Option<Arc<Btf>> {
    let options: Vec<&str> = options.iter().copied().chain(["-g"]).collect();
    read(&compile(test, source, &options)?).unwrap().btf
}

/// The programs, and a kernel with these types.
fn asked(test: &str, programs: &str, types_of: &str, options: &[&str]) -> Option<(Spec, Kernel)> {
    let options: Vec<&str> = options.iter().copied().chain(["-g"]).collect();
    let spec = read(&compile(test, &format!("{ASK}{programs}"), &options)?).unwrap();
    Some((spec, Kernel { btf: Some(types(test, types_of, &options)?), ..kernel() }))
}

fn resolved(spec: &Spec, kernel: &Kernel, name: &str) -> Arc<Program> {
    let options = Options { programs: Some(vec![name.to_owned()]), ty: None };
    resolve(spec, kernel, &options).unwrap_or_else(|e| panic!("{name}: {e:?}")).programs[0].clone()
}

/// The instruction of the n-th relocation of a program.
fn insn(spec: &Spec, program: &Program, nth: usize) -> Insn {
    program.insns[spec.functions[&*program.name].core[nth].insn as usize]
}

#[test]
fn every_question_is_answered_in_both_byte_orders_and_every_instruction_set() {
    let test = "every_question_is_answered_in_both_byte_orders_and_every_instruction_set";
    let cpus = ["-mcpu=v1", "-mcpu=v2", "-mcpu=v3", "-mcpu=v4"];
    for options in cpus.iter().flat_map(|cpu| [vec![*cpu], vec![*cpu, "big"]]) {
        let Some((spec, kernel)) = asked(test, PROGRAMS, KERNEL, &options) else { return };
        let big = options.contains(&"big");
        let target = kernel.btf.as_deref().unwrap();
        let program = |name: &str| resolved(&spec, &kernel, name);
        let off = |name: &str| i32::from(insn(&spec, &program(name), 0).off);
        let imm = |name: &str| insn(&spec, &program(name), 0).imm;

        for (name, offset) in [("offset", 24), ("store", 24), ("store_register", 24), ("narrowed", 32)] {
            assert_eq!(off(name), offset, "{name} {options:?}");
        }
        // deep at 40, row at 56, next at 120, the bit fields from 128 on, sign at 136, former at 140, tail at 144.
        for (name, offset) in [("deep", 52), ("element", 100), ("flexible", 164), ("flavour", 140)] {
            assert_eq!(off(name), offset, "{name} {options:?}");
        }
        let chase = program("chase");
        assert_eq!((insn(&spec, &chase, 0).off, insn(&spec, &chase, 1).off), (120, 12));
        assert_eq!(insn(&spec, &program("narrowed"), 0).op, 0x71, "a byte is loaded where the kernel has a byte");
        assert_eq!(imm("address"), 52);

        assert_eq!(imm("size"), 4);
        assert_eq!((imm("exists"), imm("exists_not")), (1, 0));
        assert_eq!((imm("is_signed"), imm("is_unsigned")), (1, 0));
        // 13 bits behind 30: they need 8 bytes of the struct, of which they are bits 30 to 42.
        assert_eq!((imm("bits_offset"), imm("bits_size")), (128, 8), "{options:?}");
        assert_eq!((imm("left"), imm("right")), (if big { 30 } else { 64 - 43 }, 64 - 13), "{options:?}");

        let id = |btf: &Btf| btf.find("inner", alveary_btf::Kind::Struct).unwrap().0 as i32;
        assert_eq!((imm("id_local"), imm("id_target")), (id(spec.btf.as_ref().unwrap()), id(target)));
        assert_eq!((imm("id_gone"), imm("type_exists_not")), (0, 0));
        assert_eq!((imm("type_exists"), imm("typedef_exists")), (1, 1));
        assert_eq!((imm("type_size"), imm("type_matches"), imm("type_matches_not")), (16, 1, 0));
        assert_eq!((imm("value_exists"), imm("value_exists_not"), imm("value")), (1, 0, 5));
        let wide = program("value_wide");
        let at = spec.functions["value_wide"].core[0].insn as usize;
        assert_eq!((wide.insns[at].imm, wide.insns[at + 1].imm), (0x30, 2));
        assert!(["offset", "value_exists_not", "id_gone"].iter().all(|n| program(n).poisoned.is_empty()));

        // A signed byte that has become an int cannot be loaded as one: the load is not zero-extended any more.
        let sign = program("signed_size");
        let (slot, why) = &sign.poisoned[0];
        assert_eq!((sign.insns[*slot as usize].op, sign.insns[*slot as usize].imm), (0x85, 195_896_080));
        assert_eq!(why.code.0, "core-size");
        assert_eq!(why.found.as_deref(), Some("int, 4 bytes"));
    }
}

#[test]
fn what_the_kernel_does_not_have_fails_only_where_it_is_reached_and_says_why() {
    let test = "what_the_kernel_does_not_have_fails_only_where_it_is_reached_and_says_why";
    let programs = r#"
        struct thing { int nubmer, element; char text[8]; int *pointer; } CORE;
        struct thng { int a; } CORE;
        struct thin___old { int a; } CORE;
        enum state { BUSSY = 1 };
        enum state___old { BUSSY___old = 1 };
        SEC("xdp") int member(struct thing *t) { return field(2, t->nubmer) ? t->nubmer : 7; }
        SEC("xdp") int other_type(struct thing *t) { return t->element; }
        SEC("xdp") int element(struct thing *t) { return t->text[7]; }
        SEC("xdp") int type(struct thng *t) { return t->a; }
        SEC("xdp") int value(void *t) { return enumerator(1, enum state, BUSSY); }
        SEC("xdp") int type_flavour(struct thin___old *t) { return t->a; }
        SEC("xdp") int value_flavour(void *t) { return enumerator(1, enum state___old, BUSSY___old); }
    "#;
    let types = "struct thing { int number; struct { int *element; }; char text[4]; long pointer; } a; \
                 enum state { BUSY = 1 } b;";
    let Some((spec, kernel)) = asked(test, programs, types, &[]) else { return };
    let why = |name: &str| {
        let program = resolved(&spec, &kernel, name);
        let (slot, why) = program.poisoned[0].clone();
        assert_eq!(program.insns[slot as usize].imm, 195_896_080, "{name}");
        assert_eq!(*why.place(), alveary_diag::Place::Insn { prog: name.into(), index: slot });
        (why.message.to_string(), why.help.first().cloned().unwrap_or_default(), why.notes[0].clone())
    };
    let texts = |name| {
        let (message, help, _) = why(name);
        (message, help)
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        why("member"),
        (
            "the kernel's `struct thing` has no member `nubmer`".to_owned(),
            "did you mean `number`?".to_owned(),
            "the program asks for the offset of field `struct thing.nubmer`".to_owned()
        )
    );
    let ask = "where the field may be missing, ask first: `bpf_core_field_exists(…)`";
    assert_eq!(texts("other_type"), pair("`struct thing.element` is of another type in the kernel", ask));
    assert_eq!(texts("element"), pair("the kernel's `struct thing.text` has no element 7", ask));
    assert_eq!(texts("type"), pair("the kernel has no type `struct thng`", "did you mean `struct thing`?"));
    assert_eq!(texts("value"), pair("the kernel's `enum state` has no enumerator `BUSSY`", "did you mean `BUSY`?"));
    // A flavour is the object's own name for it.
    assert_eq!(texts("type_flavour"), pair("the kernel has no type `struct thin`", "did you mean `struct thing`?"));
    let busy = "the kernel's `enum state` has no enumerator `BUSSY`";
    assert_eq!(texts("value_flavour"), pair(busy, "did you mean `BUSY`?"));
    // The question whether the member is there has an answer, so that the guard holds.
    assert_eq!(insn(&spec, &resolved(&spec, &kernel, "member"), 0).imm, 0);
    assert_eq!(resolved(&spec, &kernel, "value").poisoned.len(), 2, "both slots of a 64-bit constant");
}

#[test]
fn what_cannot_be_told_is_refused() {
    let test = "what_cannot_be_told_is_refused";
    let programs = r#"
        struct twice { int a; } CORE;
        struct far { int a; } CORE;
        SEC("xdp") int ambiguous(struct twice *t) { return t->a; }
        SEC("xdp") int same(struct twice *t) { return field(2, t->a); }
        SEC("xdp") int far(struct far *t) { return t->a; }
        SEC("xdp") int local(void *t) { return type_id(0, struct far); }
    "#;
    let types =
        "struct twice { int a; } a; struct twice___two { int b, a; } b; struct far { char p[40000]; int a; } c;";
    let Some((spec, known)) = asked(test, programs, types, &[]) else { return };
    let error = |kernel: &Kernel, name: &str| {
        let options = Options { programs: Some(vec![name.to_owned()]), ty: None };
        let all = resolve(&spec, kernel, &options).unwrap_err();
        (all[0].code.0, all[0].to_string())
    };
    let (code, text) = error(&known, "ambiguous");
    assert_eq!(code, "core-ambiguous");
    assert!(
        text.ends_with(
            "the kernel has it in two ways (found struct twice.a at offset 0, and struct twice___two.a at offset 4)"
        ),
        "{text}"
    );
    // Both have it, at one offset or not: libbpf wants one offset even of a field that is only asked to be there.
    assert_eq!(error(&known, "same").0, "core-ambiguous");
    assert!(error(&known, "far").1.contains("does not fit into the instruction (expected at most 32767, found 40000)"));
    let (code, text) = error(&kernel(), "far");
    assert_eq!(code, "core-btf");
    assert!(
        text.contains("the offset of field `struct far.a` cannot be told: the kernel's types are not known"),
        "{text}"
    );
    let other_order = Kernel { btf: self::types(test, types, &["big"]), ..kernel() };
    assert!(
        error(&other_order, "far")
            .1
            .contains("of another byte order (expected little-endian types, as the object is, found big-endian ones)")
    );
    // What is asked of the object alone needs no kernel.
    assert!(resolved(&spec, &kernel(), "local").poisoned.is_empty());
}

#[test]
fn relocations_are_listed_and_applied_to_look_at() {
    let test = "relocations_are_listed_and_applied_to_look_at";
    let Some((mut spec, kernel)) = asked(test, PROGRAMS, KERNEL, &[]) else { return };
    let all = core_relocations(&spec, kernel.btf.as_deref(), &kernel.modules);
    let of = |name: &str| all.iter().find(|r| r.function == name).unwrap();
    assert_eq!(of("element").asked, "offset of field `struct thing.row[2].second`");
    let CoreOutcome::Resolved { value, before, target } = &of("element").outcome else { panic!("{all:?}") };
    assert_eq!((*value, *before, target.as_str()), (100, 48, "struct thing.row[2].second at offset 100"));
    assert!(matches!(&of("signed_size").outcome, CoreOutcome::Missing(_)));
    assert!(matches!(&core_relocations(&spec, None, &Modules::default())[0].outcome, CoreOutcome::Refused(_)));

    apply_core(&mut spec, &kernel).unwrap();
    assert!(spec.functions.values().all(|f| f.core.is_empty()));
    assert!(spec.functions["offset"].insns.iter().any(|i| i.off == 24));
}

#[test]
fn this_machines_kernel_answers() {
    let test = "this_machines_kernel_answers";
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        eprintln!("SKIP {test}: the kernel shows no BTF");
        return;
    };
    let source = r#"
        struct list_head { struct list_head *next, *prev; } CORE;
        struct task_struct { int pid; struct task_struct *group_leader; int no_such_member; } CORE;
        enum bpf_map_type { BPF_MAP_TYPE_HASH = 77 };
        SEC("xdp") int prev(struct list_head *t) { return (long)t->prev; }
        SEC("xdp") int size(void *t) { return type_info(1, struct list_head); }
        SEC("xdp") int value(void *t) { return enumerator(1, enum bpf_map_type, BPF_MAP_TYPE_HASH); }
        SEC("xdp") int leader(struct task_struct *t) { return t->group_leader->pid; }
        SEC("xdp") int missing(struct task_struct *t) { return t->no_such_member; }
    "#;
    let Some(object) = compile(test, &format!("{ASK}{source}"), &["-g"]) else { return };
    let spec = read(&object).unwrap();
    let kernel = Kernel { btf: Some(Arc::new(Btf::read(&bytes, None).unwrap())), ..kernel() };
    let program = |name: &str| resolved(&spec, &kernel, name);
    assert_eq!(insn(&spec, &program("prev"), 0).off, 8);
    assert_eq!((insn(&spec, &program("size"), 0).imm, insn(&spec, &program("value"), 0).imm), (16, 1));
    assert!(program("leader").poisoned.is_empty() && insn(&spec, &program("leader"), 0).off > 8);
    assert_eq!(program("missing").poisoned.len(), 1);
}

/// Everything that an object's relocations come to, ids of the kernel's types aside: those are another set's.
fn outcomes(spec: &Spec, types: &Btf) -> Vec<String> {
    let all = core_relocations(spec, Some(types), &Modules::default());
    let id = |r: &CoreRelocation| r.record.kind == CoreKind::TypeIdTarget;
    let text = |r: CoreRelocation| match &r.outcome {
        CoreOutcome::Resolved { value, .. } if id(&r) => format!("{} {}", r.asked, *value != 0),
        CoreOutcome::Resolved { value, .. } => format!("{} {value}", r.asked),
        CoreOutcome::Missing(_) => format!("{} is missing", r.asked),
        CoreOutcome::Refused(why) => format!("{} {}", r.asked, why.code.0),
    };
    all.into_iter().map(text).collect()
}

#[test]
fn the_smallest_types_answer_as_all_do() {
    let test = "the_smallest_types_answer_as_all_do";
    // Besides what every kind asks: what is ambiguous, and what only a type that lost something would come to have.
    let more = r#"
        struct twice { int a; } CORE;
        struct mid { int last[0]; } CORE;
        typedef void *handle_t;
        struct user { handle_t h; } CORE;
        SEC("xdp") int ambiguous(struct twice *t) { return t->a; }
        SEC("xdp") int beyond(struct mid *t) { return t->last[3]; }
        SEC("xdp") int mid_exists(struct mid *t) { return field(2, t->last); }
        SEC("xdp") int handle(struct user *t) { return field(2, t->h) + type_info(0, handle_t); }
    "#;
    let types = "struct twice { int a; } t1; struct twice___two { int b, a; } t2; struct mid { int last[0], more; } m; \
                 typedef struct inner *handle_t; struct user { handle_t h; } u;";
    for options in [&[][..], &["big"]] {
        let source = format!("{KERNEL}{types}");
        let Some((spec, kernel)) = asked(test, &format!("{PROGRAMS}{more}"), &source, options) else { return };
        let all = kernel.btf.as_deref().unwrap();
        let least = minimal_types([&spec], all).unwrap();
        assert!(outcomes(&spec, all).iter().any(|o| o.ends_with("core-ambiguous")));
        assert_eq!(outcomes(&spec, &least), outcomes(&spec, all), "{options:?}");
        assert!(least.bytes().len() < all.bytes().len() * 3 / 4, "{least:?} of {all:?}");
        // Nothing more can go.
        assert_eq!(minimal_types([&spec], &least).unwrap().bytes(), least.bytes());
    }
}

#[test]
fn the_smallest_types_of_this_machines_kernel_are_no_larger_than_bpftools() {
    let test = "the_smallest_types_of_this_machines_kernel_are_no_larger_than_bpftools";
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        eprintln!("SKIP {test}: the kernel shows no BTF");
        return;
    };
    let all = Btf::read(&bytes, None).unwrap();
    let source = r#"
        typedef unsigned short u16;
        struct list_head { struct list_head *next, *prev; } CORE;
        struct sk_buff { u16 protocol; unsigned len; char cb[48]; unsigned char cloned : 1; } CORE;
        struct task_struct { int pid; struct task_struct *group_leader; struct list_head tasks; char comm[16];
                             int no_such_member; } CORE;
        enum bpf_map_type { BPF_MAP_TYPE_HASH = 77 };
        SEC("xdp") int prev(struct list_head *t) { return (long)t->prev; }
        SEC("xdp") int size(void *t) { return type_info(1, struct list_head) + type_info(2, struct list_head); }
        SEC("xdp") int value(void *t) { return enumerator(1, enum bpf_map_type, BPF_MAP_TYPE_HASH); }
        SEC("xdp") int leader(struct task_struct *t) { return t->group_leader->pid + t->comm[3]; }
        SEC("xdp") int missing(struct task_struct *t) { return t->no_such_member; }
        SEC("xdp") int packet(struct sk_buff *t) { return t->len + t->protocol + field(0, t->cloned) + t->cb[7]; }
    "#;
    let Some(object) = compile(test, &format!("{ASK}{source}"), &["-g"]) else { return };
    let mut objects = vec![("own".to_owned(), object)];
    if let Ok(dir) = std::fs::read_dir("/usr/lib/x86_64-linux-gnu/bpf") {
        objects.extend(dir.map(|e| e.unwrap().path()).map(|p| (p.display().to_string(), std::fs::read(&p).unwrap())));
    }
    let place = std::env::temp_dir().join(format!("alveary-minimal-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    for (name, object) in objects {
        let spec = read(&object).unwrap();
        let least = minimal_types([&spec], &all).unwrap();
        assert_eq!(outcomes(&spec, &least), outcomes(&spec, &all), "{name}");
        let (file, out) = (place.join("in.o"), place.join("out.btf"));
        std::fs::write(&file, object).unwrap();
        let tool = std::process::Command::new("/usr/sbin/bpftool")
            .args(["gen", "min_core_btf", "/sys/kernel/btf/vmlinux"])
            .args([&out, &file])
            .output();
        if let Some(Ok(theirs)) = tool.ok().filter(|o| o.status.success()).map(|_| std::fs::read(&out)) {
            assert!(
                least.bytes().len() <= theirs.len(),
                "{name}: {} bytes, bpftool {}",
                least.bytes().len(),
                theirs.len()
            );
            let theirs = Btf::read(&theirs, None).unwrap();
            assert_eq!(outcomes(&spec, &least), outcomes(&spec, &theirs), "{name}");
            println!("{name}: {} bytes, bpftool {}", least.bytes().len(), theirs.bytes().len());
        }
    }
    std::fs::remove_dir_all(&place).unwrap();
}
