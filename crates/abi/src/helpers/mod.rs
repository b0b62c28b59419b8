//! Linux's helpers, one file a theme.
//!
//! Source: the `bpf_func_proto` structs and `*_func_proto` functions of Linux 6.1, 6.12 and 6.18, which were compared
//! with what a running 6.18 lets each program type call.

mod cgroup;
mod dynptr;
mod flow;
mod map;
mod memory;
mod notation;
mod perf;
mod print;
mod redirect;
mod ringbuf;
mod skb;
mod socket;
mod sockmap;
mod storage;
mod system;
mod task;
mod tcp;
mod time;
mod tracing;
mod tunnel;
mod xdp;

use crate::Helper;

/// Every helper of `enum bpf_func_id`, by number: helper n stands at n - 1.
pub(crate) static HELPERS: &[&Helper] = &by_number(&[
    cgroup::ROWS,
    dynptr::ROWS,
    flow::ROWS,
    map::ROWS,
    memory::ROWS,
    perf::ROWS,
    print::ROWS,
    redirect::ROWS,
    ringbuf::ROWS,
    skb::ROWS,
    socket::ROWS,
    sockmap::ROWS,
    storage::ROWS,
    system::ROWS,
    task::ROWS,
    tcp::ROWS,
    time::ROWS,
    tracing::ROWS,
    tunnel::ROWS,
    xdp::ROWS,
]);

const COUNT: usize = 211;

/// Sorts the rows. A number that is missing or there twice does not compile.
const fn by_number(themes: &[&'static [Helper]]) -> [&'static Helper; COUNT] {
    let mut rows: [Option<&Helper>; COUNT] = [None; COUNT];
    let mut theme = 0;
    while theme < themes.len() {
        let mut row = 0;
        while row < themes[theme].len() {
            let helper = &themes[theme][row];
            let at = helper.id.0 as usize - 1;
            assert!(rows[at].is_none(), "two helpers have one number");
            rows[at] = Some(helper);
            row += 1;
        }
        theme += 1;
    }
    let mut sorted = [&themes[0][0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        sorted[at] = rows[at].expect("a helper is missing");
        at += 1;
    }
    sorted
}
