//! An order of each function's instructions in which most come after those that follow them.

use crate::verifier::Verifier;

/// Finds it, for every function: the way Linux does, which shows in the order of its log. All that follow an instruction
/// are put on the stack at once, so it is not quite the order in which a search going to the depth would leave them.
pub(super) fn order(v: &mut Verifier<'_>) {
    let mut seen = vec![false; v.program.len() as usize];
    let mut opened = seen.clone();
    for n in 0..v.program.subprogs.len() {
        let start = v.program.subprogs[n].start;
        let mut order = Vec::new();
        let mut stack = vec![start];
        seen[start as usize] = true;
        while let Some(&at) = stack.last() {
            if std::mem::replace(&mut opened[at as usize], true) {
                order.push(at);
                stack.pop();
                continue;
            }
            for to in v.program.successors(at) {
                if !std::mem::replace(&mut seen[to as usize], true) {
                    stack.push(to);
                }
            }
        }
        v.program.subprogs[n].postorder = order;
    }
}
