//! Objects of the kernel: what may be read of them, how far pointers from them are trusted, who takes them. The messages
//! are those of Linux 6.18.44, for structs of its own.

use alveary_abi::{MapType, Profile, ProgType};
use alveary_btf::{Array, Builder, FuncInfo, Kind, Linkage, Member, New, Param, TypeId};
use alveary_isa::{Endian, Inst};
use alveary_spec::{Kernel, Program};
use alveary_testing::{code, def, map_spec, program};
use alveary_verifier::{Env, Verdict, check, prove};
use std::{collections::BTreeMap, sync::Arc};

/// Types by name, and how programs of the tests know the members' offsets.
struct Types {
    btf: Builder,
}

impl Types {
    fn int(&mut self, name: &str, size: u32) -> TypeId {
        self.btf.add(&New::Int { name, size, bits: size as u8 * 8, signed: true, char: false, bool: false })
    }

    fn pointer(&mut self, to: TypeId) -> TypeId {
        self.btf.add(&New::Ptr(to))
    }

    fn tagged(&mut self, tag: &str, to: TypeId) -> TypeId {
        let tagged = self.btf.add(&New::TypeTag { name: tag, ty: to });
        self.pointer(tagged)
    }

    /// A struct of members at these bytes.
    fn structure(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32)]) -> TypeId {
        let members: Vec<Member<'_>> =
            members.iter().map(|&(name, ty, at)| Member { name, ty, bit_offset: at * 8, bits: None }).collect();
        self.btf.add(&New::Struct { name, size, members: &members })
    }
}

/// A kernel with a few structs.
fn kernel() -> Kernel {
    let mut types = Types { btf: Builder::new(Endian::HOST) };
    let (int, long) = (types.int("int", 4), types.int("long", 8));
    let comm = types.btf.add(&New::Array(Array { element: int, index: int, len: 4 }));
    let any = types.btf.add(&New::Array(Array { element: int, index: int, len: 0 }));
    let void = types.pointer(TypeId::VOID);
    let mm = types.structure("mm_struct", 8, &[("mmap_base", long, 0)]);
    let to_mm = types.pointer(mm);
    // A struct points to its own kind: its id is known before it is there.
    let task = TypeId(types.btf.next_id().0 + 6);
    let to_task = types.pointer(task);
    let parent = types.tagged("rcu", task);
    let user = types.tagged("user", mm);
    let members = [("a", to_task), ("b", long)].map(|(name, ty)| Member { name, ty, bit_offset: 0, bits: None });
    let either = types.btf.add(&New::Union { name: "", size: 8, members: &members });
    assert_eq!(types.btf.next_id(), task);
    types.structure(
        "task_struct",
        88,
        &[
            ("pid", int, 0),
            ("comm", comm, 4),
            ("mm", to_mm, 24),
            ("parent", parent, 32),
            ("stack", void, 40),
            ("friend", to_task, 48),
            ("address", user, 56),
            ("either", either, 64),
            ("leader", to_task, 72),
            ("last", int, 80),
            ("rest", any, 84),
        ],
    );
    types.structure("task_struct__safe_rcu", 8, &[("leader", to_task, 0)]);
    types.structure("vm_area_struct", 16, &[("vm_start", long, 0), ("vm_mm", to_mm, 8)]);
    types.structure("bpf_map", 16, &[("ops", to_mm, 0), ("id", int, 8)]);
    let map = types.btf.next_id().0 - 1;
    types.structure("bpf_array", 24, &[("map", TypeId(map), 0), ("elem_size", int, 16)]);
    types.structure("pt_regs", 8, &[("ip", long, 0)]);
    let btf = types.btf.finish().expect("the types are whole");
    assert!(btf.find("task_struct", Kind::Struct) == Some(task));
    Kernel { btf: Some(Arc::new(btf)), ..Kernel::of(Profile::linux_6_18()) }
}

/// Behind `r6`, the current task.
const TASK: &str = "call bpf_get_current_task_btf\nr6 = r0\n";

/// Programs of a raw tracepoint, and the last line of what the kernel says of them.
#[rustfmt::skip] // a case reads as a program
const CASES: &[(&str, Option<&str>)] = &[
    // Fields.
    ("r0 = *(u32 *)(r6 + 0)", None),
    ("r0 = *(u16 *)(r6 + 2)", None),
    ("r0 = *(u64 *)(r6 + 12)", None),
    ("r0 = *(u64 *)(r6 + 0)", Some("access beyond the end of member pid (mend:4) in struct task_struct with off 0 size 8")),
    ("r0 = *(u64 *)(r6 + 16)", Some("access beyond the end of member comm (mend:20) in struct task_struct with off 16 size 8")),
    ("r0 = *(u32 *)(r6 + 20)", Some("struct task_struct doesn't have field at offset 20")),
    ("r0 = *(u32 *)(r6 + 24)", Some("cannot access ptr member mm with moff 24 in struct task_struct with off 24 size 4")),
    ("r0 = *(u32 *)(r6 + 4000)", None),
    ("r0 = *(u32 *)(r6 - 4)", Some("R6 is ptr_task_struct invalid negative access: off=-4")),
    ("r1 = *(u32 *)(r6 + 0)\nr1 &= 4\nr6 += r1\nr0 = *(u32 *)(r6 + 0)",
        Some("R6 is ptr_task_struct invalid variable offset: off=0, var_off=(0x0; 0x4)")),
    ("*(u32 *)(r6 + 0) = 1", Some("only read is supported")),
    ("r1 = 1\nlock *(u32 *)(r6 + 0) += r1", Some("only read is supported")),
    // Pointers in fields.
    ("r0 = *(u64 *)(r6 + 24)\nr0 = *(u64 *)(r0 + 0)", None),
    ("r0 = *(u64 *)(r6 + 24)\nr0 = *(u64 *)(r0 + 8)", Some("access beyond struct mm_struct at off 8 size 8")),
    ("r0 = *(u64 *)(r6 + 32)\nr0 = *(u32 *)(r0 + 0)", Some("R0 invalid mem access 'rcu_ptr_or_null_'")),
    ("r0 = *(u64 *)(r6 + 32)\nif r0 == 0 goto e\nr0 = *(u32 *)(r0 + 0)", None),
    ("r0 = *(u64 *)(r6 + 40)\nr0 = *(u64 *)(r0 + 800)", None),
    ("r0 = *(u64 *)(r6 + 40)\n*(u64 *)(r0 + 0) = 1", Some("R0 cannot write into rdonly_untrusted_mem")),
    ("r0 = *(u64 *)(r6 + 56)\nr0 = *(u64 *)(r0 + 0)", Some("R0 is ptr_mm_struct access user memory: off=0")),
    ("r0 = *(u64 *)(r6 + 64)\nr0 = *(u32 *)(r0 + 0)", None),
    // Loads by one instruction.
    ("r7 = *(u64 *)(r6 + 48)\nr1 = *(u32 *)(r6 + 0)\nif r1 == 5 goto j\nr7 = r6\nj:\nr0 = *(u32 *)(r7 + 0)", None),
    ("r7 = r9\nr1 = *(u32 *)(r6 + 0)\nif r1 == 5 goto j\nr7 = r6\nj:\nr0 = *(u64 *)(r7 + 72)",
        Some("same insn cannot be used with different pointers")),
    // Arguments.
    ("r1 = r6\ncall bpf_task_pt_regs\nr0 = *(u64 *)(r0 + 0)", None),
    ("r1 = *(u64 *)(r6 + 72)\ncall bpf_task_pt_regs", None),
    ("r1 = *(u64 *)(r6 + 48)\ncall bpf_task_pt_regs", None),
    ("r1 = *(u64 *)(r6 + 64)\ncall bpf_task_pt_regs", Some("R1 type=untrusted_ptr_ expected=ptr_, trusted_ptr_, rcu_ptr_")),
    ("r1 = *(u64 *)(r6 + 24)\ncall bpf_task_pt_regs", Some("R1 is of type mm_struct but task_struct is expected")),
    ("r1 = *(u64 *)(r6 + 32)\ncall bpf_task_pt_regs", Some("R1 type=rcu_ptr_or_null_ expected=ptr_, trusted_ptr_, rcu_ptr_")),
    ("r1 = r6\nr1 += 8\ncall bpf_task_pt_regs", Some("R1 is of type task_struct but task_struct is expected")),
    ("r1 = 5\ncall bpf_task_pt_regs", Some("R1 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_")),
    ("r1 = m0 ll\nr2 = r6\ncall bpf_map_lookup_elem",
        Some("bpf_map_lookup_elem() may write into memory pointed by R2 type=trusted_ptr_")),
    ("r1 = r6\nr2 = 4\ncall bpf_get_current_comm",
        Some("bpf_get_current_comm() may write into memory pointed by R1 type=trusted_ptr_")),
    // Branches.
    ("if r6 == 0 goto e\nr0 = *(u32 *)(r6 + 0)", None),
    // Areas.
    ("r1 = r6\nr2 = 4096\nr3 = f ll\nr4 = 0\nr5 = 0\ncall bpf_find_vma\nr0 = 0\nexit\n\
      f:\nr0 = *(u64 *)(r2 + 8)\nr0 = *(u64 *)(r0 + 0)\nr0 = *(u32 *)(r1 + 0)\nr0 = 1", None),
    ("r1 = r6\nr2 = 4096\nr3 = f ll\nr4 = 0\nr5 = 0\ncall bpf_find_vma\nr0 = 0\nexit\n\
      f:\n*(u64 *)(r2 + 0) = 1\nr0 = 0", Some("only read is supported")),
    ("r1 = r6\nr2 = 4096\nr3 = f ll\nr4 = 0\nr5 = 0\ncall bpf_find_vma\nr0 = 0\nexit\nf:\nr0 = 2",
        Some("At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]")),
    ("r1 = r9\nr2 = 4096\nr3 = f ll\nr4 = 0\nr5 = 0\ncall bpf_find_vma\nr0 = 0\nexit\nf:\nr0 = 0",
        Some("R1 type=ctx expected=ptr_, trusted_ptr_, rcu_ptr_")),
    // Maps.
    ("r1 = m0 ll\nr0 = *(u32 *)(r1 + 8)\nr0 = *(u32 *)(r1 + 16)", None),
    ("r1 = m0 ll\nr0 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r0 + 0)", None),
    ("r1 = m0 ll\nr0 = *(u32 *)(r1 + 0)",
        Some("cannot access ptr member ops with moff 0 in struct bpf_map with off 0 size 4")),
    ("r1 = m0 ll\nr0 = *(u64 *)(r1 + 24)", Some("access beyond struct bpf_array at off 24 size 8")),
    ("r1 = m0 ll\n*(u32 *)(r1 + 0) = 1", Some("only read from bpf_array is supported")),
];

/// The case as a program, and, where it calls back a function `f`, with types.
fn program_of(text: &str) -> Program {
    let load = |dst, _: &str| Inst::MapIdx { dst, idx: 0 };
    let whole = format!("r9 = r1\n{TASK}{text}\ne:\nr0 = r0\nexit");
    let mut program = program(ProgType::RAW_TRACEPOINT, code(&whole, load));
    program.maps = vec!["m0".to_owned()];
    if let Some((main, _)) = whole.split_once("\nf:\n") {
        let start = code(&main.replace("f ll", "m0 ll"), load).len() as u32;
        let mut types = Builder::new(Endian::HOST);
        let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
        let proto = types.add(&New::FuncProto { ret: int, params: &[Param { name: "a", ty: int }] });
        let main = types.add(&New::Func { name: "main", proto, linkage: Linkage::Global });
        let f = types.add(&New::Func { name: "f", proto, linkage: Linkage::Static });
        program.btf = Some(Arc::new(types.finish().expect("the types are whole")));
        program.funcs = vec![FuncInfo { insn: 0, ty: main }, FuncInfo { insn: start, ty: f }];
        program.subprogs.push((start, "f".into()));
    }
    program
}

fn maps() -> BTreeMap<String, alveary_spec::MapSpec> {
    [("m0".to_owned(), map_spec("m0", def(MapType::ARRAY, 4, 8, 4)))].into()
}

fn said(program: &Program, kernel: &Kernel) -> Option<String> {
    match check(program, &Env::new(kernel, &maps())).verdict {
        Verdict::Accept => None,
        Verdict::Reject(why) => Some(why.message.lines().last().unwrap_or_default().to_owned()),
        Verdict::Refused { reason, .. } => Some(format!("refused: {reason}")),
    }
}

#[test]
fn objects_are_read_by_their_types() {
    let kernel = kernel();
    for (text, expected) in CASES {
        assert_eq!(said(&program_of(text), &kernel).as_deref(), *expected, "{text}");
    }
}

#[test]
fn only_programs_under_the_gpl_read_objects() {
    let mut program = program_of("r1 = m0 ll\nr0 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r0 + 0)");
    program.insns[1] = program.insns[0];
    program.insns[2] = program.insns[0];
    program.license = "MIT".into();
    let expected = "Cannot access kernel 'struct mm_struct' from non-GPL compatible program";
    assert_eq!(said(&program, &kernel()).as_deref(), Some(expected));
}

#[test]
fn a_kernel_without_types_is_not_judged() {
    let kernel = Kernel { btf: None, ..kernel() };
    let expected = "refused: an object of a kernel whose types are not known";
    assert_eq!(said(&program_of("r0 = *(u32 *)(r6 + 0)"), &kernel).as_deref(), Some(expected));
}

/// The kernel's memory is not there in user space: what reads it is not proven.
#[test]
fn what_reads_the_kernels_memory_is_not_proven() {
    let (kernel, maps) = (kernel(), maps());
    for text in [
        "r0 = *(u32 *)(r6 + 0)",
        "r1 = m0 ll\nr0 = *(u32 *)(r1 + 8)",
        "r0 = *(u64 *)(r6 + 40)\nr0 = *(u64 *)(r0 + 800)",
    ] {
        let report = prove(Arc::new(program_of(text)), &Env::new(&kernel, &maps)).expect_err(text);
        let Verdict::Refused { reason, .. } = report.verdict else { panic!("{text}: {:?}", report.verdict) };
        assert_eq!(reason, "an access to the kernel's own memory", "{text}");
    }
}

/// Types may come from anybody's file.
#[test]
fn a_struct_that_holds_itself_ends_the_walk() {
    let mut types = Builder::new(Endian::HOST);
    let itself = types.next_id();
    let member = Member { name: "task", ty: itself, bit_offset: 0, bits: None };
    types.add(&New::Struct { name: "task_struct", size: 8, members: &[member] });
    let btf = types.finish().expect("the types can be read");
    let kernel = Kernel { btf: Some(Arc::new(btf)), ..kernel() };
    let expected = "struct task_struct doesn't have field at offset 0";
    assert_eq!(said(&program_of("r0 = *(u32 *)(r6 + 0)"), &kernel).as_deref(), Some(expected));
}
