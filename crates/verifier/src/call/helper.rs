//! A call of a helper: what its row says, and what a few of them do besides.

use crate::{
    engine::Flow,
    memory::{Access, Indirect},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::{Arg, HelperId as H, MapType, Proto, Rule, flags};
use alveary_btf::TypeId;

/// What is gathered over the arguments of a call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: H,
    pub(super) proto: &'static Proto,
    pub(super) map: Option<u32>,
    pub(super) map_uid: u32,
    pub(super) memory: Indirect,
    /// What happens to the memory whose size comes next.
    pub(super) access: Access,
    /// The reference that is passed.
    pub(super) ref_id: u32,
    pub(super) alloc_size: u32,
    /// The function that is called back.
    pub(super) callback: Option<u32>,
    /// The type of the variable that is passed, which each CPU has one of.
    pub(super) variable: Option<TypeId>,
    /// The id of the dynptr that is passed; 0: none.
    pub(super) dynptr: u32,
    /// The key, if it is known.
    pub(super) key: Option<u64>,
}

impl Call {
    /// Whether argument `n` is given back by the call.
    pub(super) fn releases(&self, n: usize) -> bool {
        self.proto.effects.releases == Some(n as u8)
    }
}

/// From here on, numbers stand for functions that the kernel was not known to have.
const FIRST_KFUNC_POISON: i32 = 2_002_000_000;
/// The highest number of a helper, and one.
const COUNT: i32 = 212;

impl Verifier<'_> {
    pub(super) fn check_helper(&mut self, id: i32) -> Check<Flow> {
        let known = self.program.helper(self.insn);
        if let Some(why) = self.program.program.poison(self.insn).filter(|_| id >= FIRST_KFUNC_POISON) {
            refuse!("{}", why.message);
        }
        let Some(called) = known else {
            if (1..COUNT).contains(&id) {
                reject!(self, EINVAL, "program of this type cannot use helper unknown#{id}\n");
            }
            reject!(self, EINVAL, "invalid func unknown#{id}\n");
        };
        let name = called.row.name;
        let Some(proto) = called.proto else {
            reject!(self, EINVAL, "program of this type cannot use helper bpf_{name}#{id}\n");
        };
        if proto.gpl && !self.program.gpl {
            reject!(self, EINVAL, "cannot call GPL-restricted function from non-GPL compatible program\n");
        }
        if proto.effects.sleeps && !self.cur.in_sleepable {
            reject!(self, EINVAL, "helper call might sleep in a non-sleepable prog\n");
        }
        let mut call = Call {
            id: called.row.id,
            proto,
            map: None,
            map_uid: 0,
            memory: Indirect::default(),
            access: Access::Read,
            ref_id: 0,
            alloc_size: 0,
            callback: None,
            variable: None,
            dynptr: 0,
            key: None,
        };
        for n in 0..proto.args.len() {
            self.check_argument(n, &mut call)?;
        }
        self.check_sealed(&call)?;
        self.mark_tail_index(&call)?;
        self.write_filled(&call.memory)?;
        let args = proto.args.iter().take_while(|arg| **arg != Arg::None).count();
        self.record_call(args, call.key);
        self.release_argument(&call, name)?;
        self.check_special(&call, name)?;
        self.clear_caller_saved();
        self.set_returned(&call, name)?;
        self.check_map_of(&call, name)?;
        let changes = called.row.protos.iter().any(|proto| proto.effects.changes_packet);
        let tail_call = call.id == H::TAIL_CALL;
        let changes = changes && (!tail_call || self.profile.has(Rule::TailCallsMovePackets));
        let returns = tail_call && self.profile.has(Rule::TailCallsReturn);
        // Where a tail call goes on, it did nothing; the way on which it did is its caller's.
        if changes && !returns {
            self.forget_packet();
        }
        if returns && self.cur.depth > 0 {
            return self.return_from_tail_call();
        }
        Ok(Flow::Next)
    }

    /// Maps that programs may only read.
    fn check_sealed(&mut self, call: &Call) -> Check {
        let writes = matches!(call.id, H::MAP_DELETE_ELEM | H::MAP_UPDATE_ELEM | H::MAP_PUSH_ELEM | H::MAP_POP_ELEM);
        let sealed = call.map.is_some_and(|map| self.program.maps[map as usize].flags & flags::BPF_F_RDONLY_PROG != 0);
        if writes && sealed {
            reject!(self, EACCES, "write into map forbidden\n");
        }
        Ok(())
    }

    /// A constant index makes a tail call direct.
    fn mark_tail_index(&mut self, call: &Call) -> Check {
        if call.id != H::TAIL_CALL {
            return Ok(());
        }
        let array = call.map.is_some_and(|map| self.program.maps[map as usize].ty == MapType::PROG_ARRAY);
        if !array {
            reject!(self, EINVAL, "expected prog array map for tail call");
        }
        let array = call.map.unwrap_or_default();
        let (first, differs) = self.program.tail_arrays.entry(self.insn).or_insert((array, false));
        *differs |= *first != array;
        let entries = call.map.map_or(0, |map| self.program.maps[map as usize].max_entries);
        let index = self.reg(3);
        if index.is_scalar() && index.val.value().is_some_and(|index| index < u64::from(entries)) {
            self.mark_precise(3)?;
        }
        Ok(())
    }

    /// A tail call is only masked, so that no mistake leads behind its array, if it is always the same array.
    pub(crate) fn check_tail_arrays(&mut self) -> Check {
        if self.speculates() && self.program.tail_arrays.values().any(|(_, differs)| *differs) {
            reject!(self, EINVAL, "tail_call abusing map_ptr\n");
        }
        Ok(())
    }

    fn release_argument(&mut self, call: &Call, name: &str) -> Check {
        let Some(n) = call.proto.effects.releases else { return Ok(()) };
        let released = if call.ref_id != 0 { self.release(call.ref_id) } else { self.reg(n + 1).is_null() };
        if !released {
            reject!(self, EINVAL, "func bpf_{name}#{} reference has not been acquired before\n", call.id.0);
        }
        Ok(())
    }

    /// What rows do not say.
    fn check_special(&mut self, call: &Call, name: &str) -> Check {
        match call.id {
            H::TAIL_CALL => self.check_nothing_held("tail_call", true),
            H::GET_LOCAL_STORAGE => {
                if !self.reg(2).is_null() {
                    reject!(self, EINVAL, "get_local_storage() doesn't support non-zero flags\n");
                }
                Ok(())
            }
            H::FOR_EACH_MAP_ELEM => self.call_back_for_each(call),
            H::TIMER_SET_CALLBACK => self.call_back_timer(call),
            H::LOOP => self.call_back_loop(call),
            H::FIND_VMA => self.call_back_area(call),
            H::USER_RINGBUF_DRAIN => self.call_back_drain(call),
            H::SNPRINTF => self.check_format(3, 5),
            _ if call.callback.is_some() => refuse!("a callback of bpf_{name}"),
            _ => Ok(()),
        }
    }
}
