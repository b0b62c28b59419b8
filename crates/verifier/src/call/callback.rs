//! Functions that a helper calls: during the call, each time again, or later.

use super::helper::Call;
use crate::{
    limits::MAX_FRAMES,
    state::{ENTRY, Flags, Frame, Kind, Reg, Type},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::MapType as M;

impl Verifier<'_> {
    /// `bpf_for_each_map_elem`.
    pub(super) fn call_back_for_each(&mut self, call: &Call) -> Check {
        let map = call.map.unwrap_or_default();
        let ty = self.program.maps[map as usize].ty;
        let walked =
            [M::HASH, M::LRU_HASH, M::PERCPU_HASH, M::LRU_PERCPU_HASH, M::ARRAY, M::PERCPU_ARRAY].contains(&ty);
        if !walked {
            reject!(self, ENOTSUPP, "callback function not allowed for map\n");
        }
        let (r1, r3) = (*self.reg(1), *self.reg(3));
        let part = |kind| Reg { map_uid: r1.map_uid, ..Reg::map_pointer(Type::of(kind), map) };
        self.call_back_now(call, [r1, part(Kind::MapKey), part(Kind::MapValue), r3, Reg::UNINIT])
    }

    /// `bpf_loop`.
    pub(super) fn call_back_loop(&mut self, call: &Call) -> Check {
        self.mark_loop_flags(call)?;
        self.mark_precise(1)?;
        let most = self.reg(1).val.wide.umax;
        if u64::from(self.cur.top().callback_depth) < most {
            let r3 = *self.reg(3);
            return self.call_back_now(call, [Reg::UNKNOWN, r3, Reg::UNINIT, Reg::UNINIT, Reg::UNINIT]);
        }
        self.cur.top_mut().callback_depth = 0;
        self.log.detail(format_args!("frame{} bpf_loop iteration limit reached\n", self.cur.depth));
        Ok(())
    }

    /// `bpf_find_vma`: the area of the task that holds the address.
    pub(super) fn call_back_area(&mut self, call: &Call) -> Check {
        let Some(area) = self.object_named("vm_area_struct", Flags::NONE)? else {
            refuse!("the kernel's struct vm_area_struct, of which nothing is known");
        };
        let (task, context) = (*self.reg(1), *self.reg(4));
        self.call_back_now(call, [task, area, context, Reg::UNINIT, Reg::UNINIT])
    }

    /// `bpf_user_ringbuf_drain`: each record is lent as a dynptr.
    pub(super) fn call_back_drain(&mut self, call: &Call) -> Check {
        if self.recorder.is_some() {
            refuse!("a dynptr");
        }
        let record = Reg { id: self.next_id(), ..Reg::pointer(Type::of(Kind::Dynptr)) };
        let context = *self.reg(3);
        self.call_back_now(call, [record, context, Reg::UNINIT, Reg::UNINIT, Reg::UNINIT])
    }

    /// A loop without flags that always calls the same function becomes part of the program: its flags matter then.
    fn mark_loop_flags(&mut self, call: &Call) -> Check {
        let before = self.inlined_loops.get(&self.insn).copied();
        if before == Some(None) {
            return Ok(());
        }
        let no_flags = self.reg(4).is_null();
        if no_flags {
            self.mark_precise(4)?;
        }
        let same = before.is_none_or(|function| function == call.callback);
        self.inlined_loops.insert(self.insn, call.callback.filter(|_| no_flags && same));
        Ok(())
    }

    /// `bpf_timer_set_callback`.
    pub(super) fn call_back_timer(&mut self, call: &Call) -> Check {
        let Some(subprog) = call.callback else { refuse!("a callback that is not known") };
        let (map, uid) = (call.map.unwrap_or_default(), call.map_uid);
        let pointer = |kind| Reg { map_uid: uid, ..Reg::map_pointer(Type::of(kind), map) };
        let info = &mut self.program.subprogs[subprog as usize];
        info.is_callback = true;
        info.is_async_callback = true;
        let start = info.start;
        let mut frame = Frame::new(ENTRY, 0, subprog);
        frame.in_async_callback = true;
        frame.callback_range = (0, 1);
        frame.async_entries = self.cur.top().async_entries + 1;
        frame.regs[1] = pointer(Kind::MapPtr);
        frame.regs[2] = pointer(Kind::MapKey);
        frame.regs[3] = pointer(Kind::MapValue);
        self.push_callback_path(frame, start, self.insn)
    }

    /// Another path goes into the function; this one goes on as if it had been called for the last time.
    fn call_back_now(&mut self, call: &Call, args: [Reg; 5]) -> Check {
        let Some(subprog) = call.callback else { refuse!("a callback that is not known") };
        let info = &mut self.program.subprogs[subprog as usize];
        info.is_callback = true;
        let start = info.start;
        let insn = self.insn;
        let depth = self.cur.depth;
        self.push_path(start, insn)?;
        if depth + 1 >= MAX_FRAMES {
            reject!(self, E2BIG, "the call stack of {} frames is too deep\n", depth + 2);
        }
        let mut frame = Frame::new(insn, depth as u8 + 1, subprog);
        frame.regs[1..6].copy_from_slice(&args);
        frame.in_callback = true;
        frame.callback_range = (0, 1);
        self.log.scratch_all();
        let Some((here, there)) = self.both() else { return Ok(()) };
        there.push_frame(frame);
        there.callback_unrolls += 1;
        there.frame_mut(depth).callback_depth += 1;
        here.top_mut().callback_depth = 0;
        Ok(())
    }
}
