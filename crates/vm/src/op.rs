//! The pre-decoded form: one [`Op`] for each slot, and the table of operation codes.
//! Knows nothing of how a code is checked or run.

use crate::engine::Handler;
use alveary_isa::{AluOp, CmpOp, Wide};

/// One pre-decoded slot.
///
/// | | `off` | lower half of `imm` | upper half of `imm` |
/// |---|---|---|---|
/// | arithmetic | – | the constant, extended to all 64 bits | (as before) |
/// | loads, stores | the offset | the constant, extended to all 64 bits | (as before) |
/// | atomics | the offset | which operation, or the width | – |
/// | jumps | bytes from this op to the target | the constant | what a jump adds to the account |
/// | `exit` | – | – | instructions before the next slot |
/// | helper calls | index of the helper | – | instructions before the next slot |
/// | local calls | bytes to the function | instructions before the next slot | what the jump adds to the account |
/// | `callx` | – | instructions before the next slot | the same |
///
/// The account is that of [`crate::fuel`]. A local call has in `dst` how many words of the callee's frame are zeroed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Op {
    /// What the image's mode does for `code`.
    pub(crate) handler: Handler,
    pub(crate) code: Opcode,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) off: i32,
    pub(crate) imm: u64,
}

impl Op {
    /// The lower half of `imm`.
    #[inline(always)]
    pub(crate) fn low(&self) -> u32 {
        self.imm as u32
    }

    /// The upper half of `imm`, where jumps and calls keep what the fuel account needs.
    #[inline(always)]
    pub(crate) fn high(&self) -> i64 {
        self.imm as i64 >> 32
    }
}

/// Puts two halves into [`Op::imm`].
pub(crate) fn halves(low: i32, high: i32) -> u64 {
    u64::from(low as u32) | u64::from(high as u32) << 32
}

/// The table of operations that come in four forms, handed to the macro `$then`: each row is the operation, then its
/// codes for 64 bits with a register, 64 bits with a constant, 32 bits with a register, 32 bits with a constant.
macro_rules! op_table {
    ($then:ident) => {
        $then! {
            alu {
                Add Add64R Add64I Add32R Add32I;
                Sub Sub64R Sub64I Sub32R Sub32I;
                Mul Mul64R Mul64I Mul32R Mul32I;
                Div Div64R Div64I Div32R Div32I;
                SDiv SDiv64R SDiv64I SDiv32R SDiv32I;
                Mod Mod64R Mod64I Mod32R Mod32I;
                SMod SMod64R SMod64I SMod32R SMod32I;
                Or Or64R Or64I Or32R Or32I;
                And And64R And64I And32R And32I;
                Xor Xor64R Xor64I Xor32R Xor32I;
                Lsh Lsh64R Lsh64I Lsh32R Lsh32I;
                Rsh Rsh64R Rsh64I Rsh32R Rsh32I;
                Arsh Arsh64R Arsh64I Arsh32R Arsh32I;
                Mov Mov64R Mov64I Mov32R Mov32I;
            }
            cmp {
                Eq Eq64R Eq64I Eq32R Eq32I;
                Ne Ne64R Ne64I Ne32R Ne32I;
                Set Set64R Set64I Set32R Set32I;
                Gt Gt64R Gt64I Gt32R Gt32I;
                Ge Ge64R Ge64I Ge32R Ge32I;
                Lt Lt64R Lt64I Lt32R Lt32I;
                Le Le64R Le64I Le32R Le32I;
                SGt SGt64R SGt64I SGt32R SGt32I;
                SGe SGe64R SGe64I SGe32R SGe32I;
                SLt SLt64R SLt64I SLt32R SLt32I;
                SLe SLe64R SLe64I SLe32R SLe32I;
            }
        }
    };
}
pub(crate) use op_table;

macro_rules! opcodes {
    (
        alu { $($alu:ident $ar:ident $ai:ident $ar32:ident $ai32:ident;)* }
        cmp { $($cmp:ident $cr:ident $ci:ident $cr32:ident $ci32:ident;)* }
    ) => {
        /// What an [`Op`] does. Dense, so that the engine's `match` is one jump table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Opcode {
            /// No instruction.
            Bad,
            $($ar, $ai, $ar32, $ai32,)*
            $($cr, $ci, $cr32, $ci32,)*
            // A whole `ld_imm64`, with both its slots.
            Constant,
            Neg64, Neg32,
            Sx8To64, Sx16To64, Sx32To64, Sx8To32, Sx16To32,
            Swap16, Swap32, Swap64, Low16, Nop,
            LoadU8, LoadU16, LoadU32, LoadU64, LoadS8, LoadS16, LoadS32,
            Store8, Store16, Store32, Store64,
            StoreImm8, StoreImm16, StoreImm32, StoreImm64,
            // The same on the frame pointer, with an offset that was found to be inside the frame.
            FrameLoadU8, FrameLoadU16, FrameLoadU32, FrameLoadU64, FrameLoadS8, FrameLoadS16, FrameLoadS32,
            FrameStore8, FrameStore16, FrameStore32, FrameStore64,
            FrameStoreImm8, FrameStoreImm16, FrameStoreImm32, FrameStoreImm64,
            // `imm` says which operation.
            Atomic32, Atomic64,
            // `imm` is the width.
            LoadAcquire, StoreRelease,
            Ja, MayGoto,
            CallHelper, CallLocal, CallX, Exit,
        }

        /// The code of an arithmetic operation: on 64 bits or 32, with a register or a constant.
        pub(crate) fn alu_code(op: AluOp, wide: Wide, register: bool) -> Opcode {
            match op {
                $(AluOp::$alu => pick([Opcode::$ar, Opcode::$ai, Opcode::$ar32, Opcode::$ai32], wide, register),)*
            }
        }

        /// The code of a conditional jump.
        pub(crate) fn cmp_code(op: CmpOp, wide: Wide, register: bool) -> Opcode {
            match op {
                $(CmpOp::$cmp => pick([Opcode::$cr, Opcode::$ci, Opcode::$cr32, Opcode::$ci32], wide, register),)*
            }
        }
    };
}

op_table!(opcodes);

fn pick(forms: [Opcode; 4], wide: Wide, register: bool) -> Opcode {
    forms[usize::from(wide == Wide::W32) * 2 + usize::from(!register)]
}
