//! Which helper takes which map.

use super::helper::Call;
use crate::{
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::{Arg, AttachType as A, HelperId as H, MapType as M, ProgSet, ProgType as P, Rule};

impl Verifier<'_> {
    pub(super) fn check_map_of(&mut self, call: &Call, name: &str) -> Check {
        let Some(map) = call.map.filter(|_| call.proto.args.contains(&Arg::Map)) else { return Ok(()) };
        let ty = self.program.maps[map as usize].ty;
        let mixed = ty == M::PROG_ARRAY && self.program.subprogs.len() > 1;
        if mixed && !self.profile.has(Rule::MixedTailCalls) {
            reject!(self, EINVAL, "tail_calls are not allowed in programs with bpf-to-bpf calls\n");
        }
        // An embedder's helper takes any map.
        let own = call.id >= H::FIRST_OWN;
        let mut fits = own || self.profile.map_type(ty).is_none_or(|row| row.helpers.contains(&call.id));
        if matches!(ty, M::SOCKMAP | M::SOCKHASH) && matches!(call.id, H::MAP_UPDATE_ELEM | H::MAP_DELETE_ELEM) {
            fits = self.may_update_sockets(call.id);
            if !fits {
                self.log.say(format_args!("cannot update sockmap in this context\n"));
            }
        }
        if !fits {
            reject!(self, EINVAL, "cannot pass map_type {} into func bpf_{name}#{}\n", ty.0, call.id.0);
        }
        Ok(())
    }

    fn may_update_sockets(&self, id: H) -> bool {
        let program = self.program.program;
        let types = ProgSet::of(&[
            P::SOCKET_FILTER,
            P::SCHED_CLS,
            P::SCHED_ACT,
            P::XDP,
            P::SK_REUSEPORT,
            P::FLOW_DISSECTOR,
            P::SK_LOOKUP,
        ]);
        types.has(program.ty)
            || program.ty == P::SOCK_OPS && id == H::MAP_DELETE_ELEM
            || program.ty == P::TRACING && program.expected == Some(A::TRACE_ITER)
    }
}
