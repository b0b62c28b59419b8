//! A helper with a body in C: from its definition to a row and a closure.

use crate::{boundary::text, error::Failure, map::alveary_map};
use alveary::{
    UserBuilder, UserMap,
    abi::{Arg, Helper, HelperId, MemAccess, MemSize, Proto, Ret},
    runtime::{AnyFamily, Args},
};
use std::ffi::{c_char, c_void};

/// A helper's body in C.
type Body = unsafe extern "C" fn(user: *mut c_void, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64;

/// One argument's definition, as in the header.
#[repr(C)]
#[derive(Clone, Copy)]
struct alveary_arg {
    kind: u32,
    size: u32,
}

/// A helper's definition, as in the header.
#[repr(C)]
pub(crate) struct alveary_helper {
    pub(crate) number: u32,
    ret: u32,
    name: *const c_char,
    args: [alveary_arg; 5],
    body: Option<Body>,
    user: *mut c_void,
}

/// Added to an argument's kind.
const OR_NULL: u32 = 0x100;

/// A helper that was held against what the header says.
#[derive(Clone)]
pub(crate) struct OwnHelper {
    row: &'static Helper,
    body: Body,
    user: User,
}

/// What the body is handed.
#[derive(Clone, Copy)]
struct User(*mut c_void);

// SAFETY: the header says that the body may be called, with this, by several threads at once.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl OwnHelper {
    /// Takes a definition. Its row is leaked: rows live as long as the process, as the built-in ones do.
    ///
    /// # Safety
    /// The definition is what the header says; its body may be called as its prototype says.
    pub(crate) unsafe fn new(definition: &alveary_helper) -> Result<OwnHelper, Failure> {
        // SAFETY: the caller's promise.
        let name = unsafe { text(definition.name, "the helper's name") }?;
        if definition.number < HelperId::FIRST_OWN.0 {
            let expected = format!("a number from {} on: those below are Linux's", HelperId::FIRST_OWN.0);
            return Err(Failure::wrong(
                format!("helper `{name}` has the wrong number"),
                expected,
                definition.number.to_string(),
            ));
        }
        let body = definition.body.ok_or_else(|| Failure::null("the helper's body"))?;
        let ret = match definition.ret {
            0 => Ret::Scalar,
            1 => Ret::Void,
            other => {
                let message = format!("helper `{name}` gives back something unknown");
                return Err(Failure::wrong(message, "an ALVEARY_RET_ value", other.to_string()));
            }
        };
        let args = arguments(name, &definition.args)?;
        let protos = Box::leak(Box::new([Proto::takes(&args).gives(ret).packet_memory()]));
        let name: &'static str = Box::leak(name.into());
        let row = Helper::new(HelperId(definition.number), name).doc("A helper of the program that loads this.");
        Ok(OwnHelper { row: Box::leak(Box::new(row.protos(protos))), body, user: User(definition.user) })
    }

    pub(crate) fn number(&self) -> u32 {
        self.row.id.0
    }

    pub(crate) fn name(&self) -> &'static str {
        self.row.name
    }

    /// Adds it to a target.
    pub(crate) fn add_to(self, builder: UserBuilder) -> UserBuilder {
        builder.helper_fn::<AnyFamily>(self.row, move |_, args| self.call(args))
    }

    fn call(&self, args: &Args<'_>) -> i64 {
        let [proto] = self.row.protos else { unreachable!("`new` gives each row one prototype") };
        // Maps are handles in C; they live until the body returns.
        let mut maps: [Option<alveary_map>; 5] = Default::default();
        let mut values = [0; 5];
        for (i, kind) in proto.args.iter().enumerate().filter(|(_, kind)| **kind != Arg::None) {
            values[i] = match kind {
                Arg::Map => {
                    let map = maps[i].insert(alveary_map::new(UserMap::from(args.map(i).clone())));
                    std::ptr::from_ref(map) as u64
                }
                _ => args.scalar(i),
            };
        }
        let [r1, r2, r3, r4, r5] = values;
        // SAFETY: the arguments were held against the prototype that came with the body, and the header says that a
        // body does what its prototype says, from any thread.
        unsafe { (self.body)(self.user.0, r1, r2, r3, r4, r5) as i64 }
    }
}

/// What abi calls the arguments.
fn arguments(name: &str, list: &[alveary_arg; 5]) -> Result<[Arg; 5], Failure> {
    let mut args = [Arg::None; 5];
    for (i, alveary_arg { kind, size }) in list.iter().copied().enumerate() {
        let or_null = kind & OR_NULL != 0;
        let memory = |access| {
            let size = if size == 0 { MemSize::Arg(i as u8 + 1) } else { MemSize::Fixed(size) };
            Arg::Mem { access, size, or_null, aligned: false }
        };
        args[i] = match kind & !OR_NULL {
            0 => Arg::None,
            1 => Arg::Any,
            2 => Arg::Ctx { or_null },
            3 => Arg::Map,
            4 => Arg::MapKey,
            5 => Arg::MapValue { access: MemAccess::Read, or_null },
            6 => memory(MemAccess::Read),
            7 => memory(MemAccess::Write),
            8 => memory(MemAccess::ReadWrite),
            9 => Arg::Size { zero_ok: false },
            10 => Arg::Size { zero_ok: true },
            other => {
                let message = format!("argument {} of helper `{name}` is of an unknown kind", i + 1);
                return Err(Failure::wrong(message, "an ALVEARY_ARG_ value", other.to_string()));
            }
        };
        if or_null && !matches!(args[i], Arg::Ctx { .. } | Arg::MapValue { .. } | Arg::Mem { .. }) {
            let expected = "ALVEARY_ARG_OR_NULL with a context, a map's value or memory";
            return Err(disagrees(name, i, expected));
        }
    }
    for (i, arg) in args.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| &args[i]);
        let sized_by = |arg: &Arg| matches!(arg, Arg::Mem { size: MemSize::Arg(n), .. } if usize::from(*n) == i);
        let problem = match arg {
            Arg::None => None,
            _ if before == Some(&Arg::None) => Some("no argument behind one that is ALVEARY_ARG_NONE"),
            Arg::Mem { size: MemSize::Arg(n), .. } if !matches!(args.get(usize::from(*n)), Some(Arg::Size { .. })) => {
                Some("a size, or ALVEARY_ARG_SIZE as the next argument")
            }
            Arg::Size { .. } if !before.is_some_and(sized_by) => Some("memory of size 0 in the argument before"),
            Arg::MapKey | Arg::MapValue { .. } if args[0] != Arg::Map => Some("ALVEARY_ARG_MAP as the first argument"),
            _ => None,
        };
        if let Some(expected) = problem {
            return Err(disagrees(name, i, expected));
        }
    }
    Ok(args)
}

fn disagrees(name: &str, argument: usize, expected: &str) -> Failure {
    let message = format!("argument {} of helper `{name}` does not fit the others", argument + 1);
    Failure::wrong(message, expected, "something else")
}
