//! An embedder's own hook, complete: a program type, its context of one field, a helper, and a program that uses both.

use alveary_abi::{
    Access, Arg, CtxLayout, Field, FieldKind, Helper, HelperId, Profile, ProgSet, ProgType, ProgTypeRow, Proto, Scope,
    Sizes, Version,
};
use alveary_isa::{Insn, Width};
use alveary_runtime::{Args, Backing, Bind, Body, Cx, Family, Runtime, Step, World, helpers};
use alveary_spec::{Kernel, Program};
use std::{error::Error, mem::offset_of, sync::Arc};

/// Programs of this type say how warm it may get.
const THERMOSTAT: ProgType = ProgType(ProgType::FIRST_OWN.0 + 1);
const EVERYONE: Scope = Scope::of(ProgSet::of(&[THERMOSTAT]), Version(0, 0));

/// What programs see: one field.
static LAYOUT: CtxLayout = CtxLayout {
    name: "room",
    size: 4,
    fields: &[Field {
        name: "degrees",
        off: 0,
        width: Width::B4,
        count: 1,
        sizes: Sizes::Exact,
        kind: FieldKind::Scalar,
        access: &[(EVERYONE, Access::Read)],
        since: Version(0, 0),
    }],
};

/// What stands behind it.
#[repr(C)]
struct Room {
    name: &'static str,
    degrees: u32,
}

struct Thermostat;

// SAFETY: `degrees` stands where the backing says; there are no regions.
unsafe impl Family for Thermostat {
    type Ctx = Room;
    type State = u64;
    const NAME: &'static str = "thermostat";
    const TYPES: &'static [ProgType] = &[THERMOSTAT];

    fn backings() -> &'static [Backing] {
        const { &[Backing::read("degrees", &[Step::Load(Width::B4, offset_of!(Room, degrees) as u16)])] }
    }

    fn helpers() -> &'static [Bind] {
        helpers![Thermostat; own SEASON => season]
    }

    fn regions(_: &Room, _: &mut dyn FnMut(alveary_vm::Region)) {}
}

/// `u64 season(u64 factor)`
static SEASON: Helper = Helper::new(HelperId(HelperId::FIRST_OWN.0 + 1), "season")
    .doc("The season, times a factor.")
    .protos(&[Proto::takes(&[Arg::Any])]);

fn season(cx: &Cx<'_, Thermostat>, args: &Args<'_>) -> i64 {
    assert_eq!(cx.ctx().name, "kitchen");
    (*cx.state() * args.scalar(0)) as i64
}

/// Binds a helper from outside of its family, as a plug-in of the embedder would.
struct Season;

impl Body for Season {
    type Family = Thermostat;
    const ROW: &'static Helper = &SEASON;
    fn call(cx: &Cx<'_, Thermostat>, args: &Args<'_>) -> i64 {
        season(cx, args)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let linux = Profile::linux_6_18();
    let tables = linux.tables().clone().with_prog_type(ProgTypeRow {
        ty: THERMOSTAT,
        name: "thermostat",
        doc: "How warm it may get.",
        ctx: Some(&LAYOUT),
        ..*linux.prog_type(ProgType::SOCKET_FILTER).ok_or("no row to begin with")?
    });
    let profile = Profile::new(linux.version, linux.limits, tables);
    let kernel = Kernel::of(profile);
    let runtime =
        Runtime::builder(kernel, World::repeatable()).family::<Thermostat>(Arc::new(3)).helper::<Season>().build();

    // r6 = ctx->degrees; r0 = season(2) + r6
    let code = [
        [0x61, 0x16, 0, 0, 0, 0, 0, 0],
        [0xb7, 0x01, 0, 0, 2, 0, 0, 0],
        [0x85, 0x00, 0, 0, 1, 0, 1, 0],
        [0x0f, 0x60, 0, 0, 0, 0, 0, 0],
        [0x95, 0x00, 0, 0, 0, 0, 0, 0],
    ];
    let program = Program {
        name: "warm".into(),
        section: "thermostat".into(),
        ty: THERMOSTAT,
        insns: code.iter().map(|c| Insn::from_bytes(*c, alveary_isa::Endian::Little)).collect(),
        subprogs: vec![(0, "warm".into())],
        license: "MIT".into(),
        ..Program::default()
    };
    let prog = runtime.load_unverified(Arc::new(program), vec![])?;
    let mut cpu = runtime.vcpu(0).ok_or("CPU 0 is taken")?;
    let ran = cpu.run::<Thermostat>(&prog, &Room { name: "kitchen", degrees: 19 })?;
    assert_eq!(ran.value, 3 * 2 + 19);
    Ok(())
}
