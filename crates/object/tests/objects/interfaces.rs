//! Kernel interfaces that objects fill in, exception callbacks, promises on arguments, arenas.

use crate::common::{compile, kernel, program, resolved};
use alveary_abi::{AttachType, MapType, flags::BPF_F_LINK};
use alveary_btf::{Btf, Builder, Kind, Member, New, TypeId};
use alveary_isa::Endian::Little;
use alveary_object::{Options, read, resolve};
use alveary_spec::{ArgTag, Initial, Kernel, KernelType, Module, Modules, Promise, Resolved, Spec, StructOps};
use std::sync::Arc;

const OPS: &str = r#"
struct sock;
struct ops___mine {
    void (*init)(struct sock *sk); long flags; char name[8];
    int (*gone)(struct sock *sk); int (*ask)(int n);
};
SEC("struct_ops/init") void my_init(__u64 *ctx) {}
SEC("struct_ops.s") int my_ask(__u64 *ctx) { return 1; }
SEC("?struct_ops") int optional(__u64 *ctx) { return 2; }
SEC(".struct_ops.link") struct ops___mine first = { .init = (void *)my_init, .ask = (void *)my_ask, .flags = 5, .name = "mine" };
SEC(".struct_ops") struct ops___mine second = { .ask = (void *)my_ask };
SEC("?.struct_ops.link") struct ops___mine third = { .ask = (void *)optional };
"#;

/// The kernel has more, and in another order.
const KERNEL_OPS: &str = r#"
struct sock;
struct ops { char name[8]; int (*ask)(int n); long more; long flags; void (*init)(struct sock *sk); };
struct bpf_struct_ops_ops { int refcnt; struct ops data __attribute__((aligned(64))); } value;
"#;

fn object(test: &str, source: &str, options: &[&str]) -> Option<Spec> {
    let options: Vec<&str> = options.iter().copied().chain(["-g"]).collect();
    Some(read(&compile(test, source, &options)?).unwrap())
}

fn ops<'a>(resolved: &'a Resolved, map: &str) -> &'a StructOps {
    match &resolved.maps[map].initial {
        Initial::StructOps(ops) => ops,
        other => panic!("{map}: {other:?}"),
    }
}

#[test]
fn interfaces_are_filled_in_as_the_kernel_has_them() {
    let test = "interfaces_are_filled_in_as_the_kernel_has_them";
    for options in [&[][..], &["big"]] {
        let (Some(spec), Some(types)) = (object(test, OPS, options), object(test, KERNEL_OPS, options)) else { return };
        let map = &spec.maps["first"];
        assert_eq!((map.def.ty, map.def.flags, map.def.value_size), (MapType::STRUCT_OPS, BPF_F_LINK, 40));
        assert_eq!(spec.maps["second"].def.flags, 0);
        let Initial::StructOps(of_third) = &spec.maps["third"].initial else { panic!() };
        assert!(!of_third.create && of_third.interface == "ops");

        let btf = types.btf.unwrap();
        let with_types = Kernel { btf: Some(btf.clone()), ..kernel() };
        let done = resolve(&spec, &with_types, &Options::default()).unwrap();
        assert!(!done.maps.contains_key("third"), "it is made on demand only");
        let names: Vec<_> = done.programs.iter().map(|p| &*p.name).collect();
        assert_eq!(names, ["my_init", "my_ask"], "`optional` is not asked for");
        let first = ops(&done, "first").kernel.as_ref().unwrap();
        let id = |name| btf.find(name, Kind::Struct).unwrap();
        assert_eq!((first.value_type, first.ty), (id("bpf_struct_ops_ops"), id("ops")));
        assert_eq!(done.maps["first"].def.value_size, 128);
        // The interface begins at 64: name, ask, more, flags, init.
        let programs: Vec<_> = first.programs.iter().map(|(at, name)| (*at, &**name)).collect();
        assert_eq!(programs, [(64 + 32, "my_init"), (64 + 8, "my_ask")]);
        assert_eq!(&first.bytes[64..72], b"mine\0\0\0\0");
        let five = if options.is_empty() { 5u64.to_le_bytes() } else { 5u64.to_be_bytes() };
        assert_eq!(first.bytes[64 + 24..][..8], five);
        assert_eq!(first.bytes.iter().filter(|b| **b != 0).count(), 5, "all else is zero");
        assert_eq!(ops(&done, "second").members.len(), 1);
        for (name, member) in [("my_init", 4), ("my_ask", 1)] {
            let program = program(&done, name);
            assert_eq!(
                (program.expected, program.target.clone().unwrap().unwrap().id),
                (Some(AttachType(member)), id("ops"))
            );
        }
        // One program by name brings its interface, and that its other programs.
        let wanted = |name: &str| Options { programs: Some(vec![name.to_owned()]), ty: None };
        let done = resolve(&spec, &with_types, &wanted("optional")).unwrap();
        assert_eq!(done.programs.len(), 1);
        assert!(done.maps.contains_key("third") && !done.maps.contains_key("first"));
        let done = resolve(&spec, &with_types, &wanted("my_init")).unwrap();
        assert_eq!(done.programs.len(), 2);
        // Without the kernel's types nothing is known of its form.
        assert!(ops(&resolved(&spec), "first").kernel.is_none());
    }
}

#[test]
fn interfaces_that_do_not_fit_the_kernel_are_refused_by_member() {
    let test = "interfaces_that_do_not_fit_the_kernel_are_refused_by_member";
    let Some(spec) = object(test, OPS, &[]) else { return };
    let refused = |from: &str, to: &str| {
        let types = object(test, &KERNEL_OPS.replace(from, to), &[]).unwrap();
        let kernel = Kernel { btf: types.btf, ..kernel() };
        resolve(&spec, &kernel, &Options::default()).unwrap_err()[0].clone()
    };
    let missing = refused("long flags", "long flag");
    assert_eq!(
        missing.message,
        "`first`, a `struct ops`, sets member `flags`, which the kernel's `struct ops` does not have"
    );
    assert_eq!(missing.help, ["did you mean `flag`?"]);
    let no_place = refused("*init)", "*inat)");
    assert!(no_place.message.contains("sets member `init`, which the kernel's"), "{no_place}");
    let other = refused("long flags", "int flags");
    assert!(other.to_string().ends_with("otherwise than the kernel (expected `int`, 4 bytes, found `long`, 8 bytes)"));
    let unknown = refused("bpf_struct_ops_ops", "bpf_struct_ops_opz");
    assert!(unknown.message.ends_with("is an interface that neither the kernel nor a module of it has"), "{unknown}");
    let bits = refused("long flags", "long flags : 3");
    assert!(bits.message.ends_with("has a bit field: `flags`"), "{bits}");
}

/// The types of a module with `struct ops`: `ask` at 0, `flags` behind it.
fn module(kernel: &Arc<Btf>, long: TypeId) -> Btf {
    let member = |name, ty, bit_offset| Member { name, ty, bit_offset, bits: None };
    let mut b = Builder::over(kernel.clone());
    let proto = b.add(&New::FuncProto { ret: long, params: &[] });
    let ask = b.add(&New::Ptr(proto));
    let ops = [member("ask", ask, 0), member("flags", long, 64)];
    let ops = b.add(&New::Struct { name: "ops", size: 16, members: &ops });
    let value = [member("refcnt", long, 0), member("data", ops, 512)];
    b.add(&New::Struct { name: "bpf_struct_ops_ops", size: 128, members: &value });
    b.finish().unwrap()
}

#[test]
fn interfaces_of_modules_are_found_behind_those_of_the_kernel() {
    let test = "interfaces_of_modules_are_found_behind_those_of_the_kernel";
    let source = r#"
        struct ops { int (*ask)(void); long flags; };
        SEC("struct_ops") int my_ask(__u64 *ctx) { return 1; }
        SEC(".struct_ops.link") struct ops first = { .ask = (void *)my_ask, .flags = 5 };
    "#;
    let (Some(spec), Some(types)) = (object(test, source, &[]), object(test, KERNEL_OPS, &[])) else { return };
    let mut b = Builder::new(Little);
    let long = b.add(&New::Int { name: "long", size: 8, bits: 64, signed: true, char: false, bool: false });
    let btf = Arc::new(b.finish().unwrap());
    let one = Module { name: "one".into(), btf: Arc::new(Builder::over(btf.clone()).finish().unwrap()) };
    let two = Module { name: "two".into(), btf: Arc::new(module(&btf, long)) };
    let ids = ["ops", "bpf_struct_ops_ops"].map(|name| two.btf.find(name, Kind::Struct).unwrap());
    let modules = Modules::new(move || vec![one.clone(), two.clone()]);
    let with_modules = Kernel { btf: Some(btf), modules, ..kernel() };

    let done = resolve(&spec, &with_modules, &Options::default()).unwrap();
    let first = ops(&done, "first").kernel.as_ref().unwrap();
    assert_eq!((first.module.as_deref(), first.ty, first.value_type), (Some("two"), ids[0], ids[1]));
    assert_eq!((done.maps["first"].def.value_size, first.bytes[64 + 8]), (128, 5));
    assert_eq!(first.programs.iter().map(|(at, name)| (*at, &**name)).collect::<Vec<_>>(), [(64, "my_ask")]);
    let ask = program(&done, "my_ask");
    assert_eq!(ask.expected, Some(AttachType(0)));
    let target = KernelType { module: Some("two".into()), id: ids[0] };
    assert_eq!(ask.target.clone().unwrap().unwrap(), target, "it is loaded for the module's type");

    let unread = Modules::new(|| panic!("the kernel itself has it"));
    let own = Kernel { btf: types.btf, modules: unread, ..kernel() };
    let done = resolve(&spec, &own, &Options::default()).unwrap();
    assert_eq!(ops(&done, "first").kernel.as_ref().unwrap().module, None);
    let near = source.replace("struct ops", "struct opz");
    let why = resolve(&object(test, &near, &[]).unwrap(), &with_modules, &Options::default()).unwrap_err()[0].clone();
    assert!(why.message.ends_with("is an interface that neither the kernel nor a module of it has"), "{why}");
    assert_eq!(why.help, ["did you mean `struct ops`?"]);
}

#[test]
fn a_pointer_of_an_interface_is_a_program_of_the_object() {
    let test = "a_pointer_of_an_interface_is_a_program_of_the_object";
    let refused = |source: &str| Some(read(&compile(test, source, &["-g"])?).unwrap_err().to_string());
    let data = "struct ops { int *number; }; int number; SEC(\".struct_ops\") struct ops one = { .number = &number };";
    let Some(text) = refused(data) else { return };
    assert!(text.contains("`one` holds the address of `number` where no pointer to a function is"), "{text}");
    let foreign =
        "struct ops { int (*f)(void); }; extern int f(void); SEC(\".struct_ops\") struct ops one = { .f = f };";
    let text = refused(foreign).unwrap();
    assert!(text.contains("member `f` of `one` is `f` (expected a function of the object)"), "{text}");
    let text = refused("SEC(\".struct_ops\") int one = 1;").unwrap();
    assert!(text.contains("`one` is no kernel interface"), "{text}");
}

const THROWS: &str = r#"
#define __exception_cb(name) __attribute__((btf_decl_tag("exception_callback:" #name)))
static noinline int inner(int n) { return n * 3; }
noinline int callback(__u64 cookie) { return inner(cookie); }
static __attribute__((used)) noinline int hidden_one(__u64 cookie) { return 1; }
SEC("tc") __exception_cb(callback) int throws(void *ctx) { return inner(7); }
SEC("?tc") __exception_cb(calback) int misspelt(void *ctx) { return 1; }
SEC("?tc") __exception_cb(hidden_one) int of_static(void *ctx) { return hidden_one(1); }
SEC("?tc") __exception_cb(throws) int of_program(void *ctx) { return 1; }
SEC("?tc") __exception_cb(callback) __attribute__((btf_decl_tag("exception_callback:throws"))) int of_two(void *ctx) { return 1; }
"#;

#[test]
fn the_exception_callback_stands_behind_all_else() {
    let test = "the_exception_callback_stands_behind_all_else";
    let Some(spec) = object(test, THROWS, &[]) else { return };
    assert_eq!(spec.programs["throws"].exception_callback.as_deref(), Some("callback"));
    let throws = program(&resolved(&spec), "throws");
    let names: Vec<_> = throws.subprogs.iter().map(|(_, name)| &**name).collect();
    assert_eq!(names, ["throws", "inner", "callback"]);
    assert_eq!(throws.exception_callback, Some(throws.subprogs[2].0));
    let starts: Vec<u32> = throws.subprogs.iter().map(|(at, _)| *at).collect();
    assert_eq!(throws.funcs.iter().map(|f| f.insn).collect::<Vec<_>>(), starts, "BTF knows all three");
    let resolve = |name: &str| resolve(&spec, &kernel(), &Options { programs: Some(vec![name.to_owned()]), ty: None });
    for (name, found) in [
        ("misspelt", "a name that the object does not define"),
        ("of_static", "a static function"),
        ("of_program", "a program"),
    ] {
        let problem = &resolve(name).unwrap_err()[0];
        assert!(problem.message.starts_with(&format!("program `{name}` names `")), "{problem}");
        assert_eq!(problem.found.as_deref(), Some(found), "{name}");
    }
    assert_eq!(resolve("misspelt").unwrap_err()[0].help, ["did you mean `callback`?"]);
    // Two callbacks are the verifier's to refuse.
    assert_eq!(resolve("of_two").unwrap().programs[0].subprogs.len(), 1);
}

const PROMISES: &str = r#"
#define __arg(what) __attribute__((btf_decl_tag("arg:" #what)))
struct task_struct;
noinline int global(void *c __arg(ctx), struct task_struct *t __arg(trusted) __arg(nullable), int n, void *p __arg(arena),
                    int *q __arg(nonnull)) { asm volatile("" : : "r"(c), "r"(t), "r"(n), "r"(p), "r"(q)); return n; }
noinline int newer(void *c __arg(novel)) { asm volatile("" : : "r"(c)); return 1; }
SEC("tc") int calls(void *ctx) { int n = 1; return global(ctx, 0, 1, 0, &n) + newer(ctx); }
"#;

#[test]
fn promises_on_arguments_are_kept_for_the_verifier() {
    let Some(spec) = object("promises_on_arguments_are_kept_for_the_verifier", PROMISES, &[]) else { return };
    let promise = |arg, promise| ArgTag { arg, promise };
    let mut of_global = spec.functions["global"].args.clone();
    of_global.sort_by_key(|tag| (tag.arg, tag.promise == Promise::Nullable));
    let expected = [
        promise(0, Promise::Ctx),
        promise(1, Promise::Trusted),
        promise(1, Promise::Nullable),
        promise(3, Promise::Arena),
        promise(4, Promise::NonNull),
    ];
    assert_eq!(of_global, expected);
    let calls = program(&resolved(&spec), "calls");
    let start = |name: &str| calls.subprogs.iter().find(|(_, n)| &**n == name).unwrap().0;
    assert_eq!(calls.args.iter().filter(|(at, _)| *at == start("global")).count(), 5);
    assert!(calls.args.contains(&(start("newer"), promise(0, Promise::Unknown("novel".to_owned())))));
}

const ARENA: &str = r#"
#define __arena __attribute__((address_space(1)))
struct { __uint(type, 33); __uint(map_flags, 1 << 10); __uint(max_entries, 2); __ulong(map_extra, 0x1ull << 44); } arena SEC(".maps");
int __arena SEC(".addr_space.1") first = 3;
long __arena SEC(".addr_space.1") second = 9;
SEC("syscall") int uses(void *ctx) { asm volatile("" : : "r"(&arena)); return first + second; }
"#;

#[test]
fn variables_in_an_arena_are_its_first_content() {
    let test = "variables_in_an_arena_are_its_first_content";
    let Some(spec) = object(test, ARENA, &["-mcpu=v4"]) else { return };
    let arena = &spec.maps["arena"];
    assert_eq!((arena.def.ty, arena.def.extra, arena.def.max_entries), (MapType::ARENA, 1 << 44, 2));
    let Initial::Bytes(bytes) = &arena.initial else { panic!("{:?}", arena.initial) };
    assert_eq!((bytes[0], bytes[8], bytes.len()), (3, 9, 16));
    let uses = program(&resolved(&spec), "uses");
    assert_eq!(uses.maps, ["arena"]);
    let mut references: Vec<_> = uses
        .insns
        .iter()
        .enumerate()
        .filter(|(_, i)| i.op == 0x18 && i.src.0 == 6)
        .map(|(at, i)| (i.imm, uses.insns[at + 1].imm))
        .collect();
    references.sort_unstable();
    assert_eq!(references, [(0, 0), (0, 8)]);

    let problem = |from: &str, to: &str| {
        read(&compile(test, &ARENA.replace(from, to), &["-g", "-mcpu=v4"]).unwrap()).unwrap_err().to_string()
    };
    let small = problem("__uint(max_entries, 2)", "__uint(max_entries, 0)");
    assert!(small.contains("the arena is too small for the variables in it (expected at most 0 bytes"), "{small}");
}
