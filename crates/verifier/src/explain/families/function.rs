//! Functions: what global ones take, how deep calls go, how much stack they use; and their types.

use super::{null, scalar};
use crate::{
    explain::{
        draft::Draft,
        history::{Cell, How, history, read},
        number, origin,
        story::Story,
        words,
    },
    state::Kind,
};
use alveary_abi::Rule;
use alveary_isa::Inst;
use alveary_sort::Sort;

/// `Caller passes invalid args into func#1 ('f')`.
pub(super) fn arguments(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    let n = story.named_reg().or_else(|| story.number("arg#").map(|n| n as u8 + 1));
    let Some((n, reg)) = n.and_then(|n| Some((n, *story.reg(n)?))) else {
        draft.say(format!("the global function `{callee}` is called with what it does not take"));
        draft.help("make the function `static`: it is then verified in each caller, with what is known there");
        return;
    };
    draft.know(n);
    draft.say(format!("argument {n} of the global function `{callee}` is not what its type says"));
    draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    draft.note("a global function is verified by itself, for every argument that its types allow: each caller has to pass such arguments");
    if reg.ty.maybe_null() {
        null::tell(story, draft, n, &reg);
    } else if reg.is_scalar() && !story.message.contains("is not a scalar") {
        scalar::why(story, draft, n);
    }
    if !reg.is_scalar() && !reg.ty.maybe_null() {
        origin::label(story, draft, n);
    }
    if story.message.contains("access to memory")
        || story.message.contains("stack")
        || story.message.contains("outside of")
    {
        draft.help("the memory that is passed has to be as large as what the parameter points to");
    }
    draft.help("or make the function `static`: it is then verified in each caller, with what is known there");
}

/// What is rejected in a global function because of one of its arguments: callers that pass better ones do not help.
pub(super) fn alone(story: &Story<'_>, draft: &mut Draft) {
    let (Some(name), Some(insn), Some(last)) = (story.global_function(), story.insn, story.last()) else { return };
    let depth = story.state(last).depth;
    let argument = |cell: Cell, until: usize| {
        let events = history(story, cell, until);
        let begun = events.last().filter(|event| event.how == How::Entered && event.step == 0);
        begun.and_then(|event| match event.after {
            Cell::Reg(0, n @ 1..6) => {
                read(story.state(0), event.after).filter(|reg| reg.ty.kind != Kind::Ctx).map(|reg| (n, reg))
            }
            _ => None,
        })
    };
    let found = words::read_by(story, insn).into_iter().find_map(|reg| {
        let cell = Cell::Reg(depth, reg);
        let added = number::added(story, &history(story, cell, last));
        argument(cell, last).or_else(|| added.into_iter().find_map(|(step, cell)| argument(cell, step)))
    });
    let Some((n, reg)) = found else { return };
    draft.note(format!(
        "`{name}` is a global function: it is verified by itself, for all that the type of its argument {n} allows, whatever its callers pass"
    ));
    if reg.ty.maybe_null() && draft.code == "maybe-null" {
        draft.help(format!("or declare that parameter of `{name}` with `__arg_nonnull`, where the kernel knows that (from Linux 6.8 on): callers then have to pass what is not NULL"));
    }
    draft.help(format!("or make `{name}` `static`: it is then verified in each caller, with what is known there"));
}

/// `tail_calls are not allowed in programs with bpf-to-bpf calls`.
pub(super) fn mixed(story: &Story<'_>, draft: &mut Draft) {
    draft.say("a program of several functions makes a tail call");
    draft.here("the tail call");
    draft.later(story, Rule::MixedTailCalls);
    draft.help("let the functions be inlined: `static __always_inline`");
}

/// Types of global functions that the kernel does not take.
pub(super) fn prototype(story: &Story<'_>, draft: &mut Draft) {
    let message = story.message;
    if message.contains("return scalar") {
        draft.say("a global function returns something else than a number");
        draft.help("return an integer, or make the function `static`");
    } else if message.contains("> 5 args") {
        draft.say("a global function has more than five parameters");
        draft.help("pass a pointer to a structure");
    } else if message.contains("size cannot be determined") {
        draft.say("a parameter of a global function points to a type whose size is not known");
        draft.help("point to a complete type, or make the function `static`");
    } else {
        draft.say("a parameter of a global function has a type that the kernel does not take");
        draft.help("parameters are integers, pointers to the context, or pointers to types of a known size; or make the function `static`");
    }
    label_function(story, draft);
}

fn label_function(story: &Story<'_>, draft: &mut Draft) {
    let named = |name: &str| story.message.contains(&format!("{name}()"));
    if let Some(subprog) =
        story.program().subprogs.iter().find(|subprog| !subprog.name.is_empty() && named(&subprog.name))
    {
        draft.at(subprog.start);
        draft.here(format!("`{}` begins here", subprog.name));
    }
}

/// Callbacks that cannot be called.
pub(super) fn callback(story: &Story<'_>, draft: &mut Draft) {
    let message = story.message;
    draft.say("the address of this function cannot be handed to a helper");
    if message.contains("not static") {
        draft.here("the function is global");
        draft.help("make it `static`: callbacks are verified where they are called");
    } else if message.contains("main program") {
        draft.here("this is the program itself");
        draft.help("use a function of its own");
    } else if message.contains("func_info") {
        draft.here("the object has no types of functions");
        draft.help("compile with `-g`: the kernel needs BTF for callbacks");
    } else {
        draft.here("no callback is possible here");
    }
}

/// `combined stack size of 3 calls is 544. Too large`.
pub(super) fn stack(story: &Story<'_>, draft: &mut Draft) {
    let program = story.program();
    let message = story.message;
    if message.contains("frames is too deep") || message.contains("call stack of") && message.contains("deep") {
        let frames = story.v.profile.limits.frames;
        if let Some(name) = calls(story, draft) {
            draft.say(format!("`{name}` calls itself, and calls go no deeper than {frames} functions"));
            draft.help(format!("make a loop of it: how often `{name}` calls itself has to be known, and to be less than {frames} times in all"));
            return;
        }
        draft.say(format!("calls go deeper than {frames} functions"));
        draft.help("let clang inline small functions (`__always_inline`), or call fewer levels deep");
        return;
    }
    let tail = message.contains("tail_calls");
    let sum = story.number("is ").unwrap_or_default();
    draft.say(if tail {
        format!("the functions that call one with a tail call use {sum} bytes of stack; it has to be less than 256")
    } else {
        format!("a chain of calls uses {sum} bytes of stack; 512 are allowed")
    });
    let mut users: Vec<_> = program.subprogs.iter().filter(|subprog| subprog.stack_depth > 0).collect();
    if tail {
        // What counts are the callers' frames, not that of the function with the tail call.
        let calling: Vec<u32> = (0..program.len()).filter(|at| calls_tail_caller(story, *at)).collect();
        users.retain(|subprog| calling.iter().any(|at| (subprog.start..subprog.end).contains(at)));
        for at in calling {
            if let Some(callee) = story.callee(at) {
                draft.label(at, format!("calls `{callee}`, in which a tail call is made"));
            }
        }
    }
    users.order_by_key(|subprog| std::cmp::Reverse(subprog.stack_depth));
    for (n, subprog) in users.iter().take(4).enumerate() {
        let (depth, rounded) = (subprog.stack_depth, subprog.stack_depth.next_multiple_of(16));
        let counted = if rounded == depth { String::new() } else { format!(", which count as {rounded}") };
        let text = format!("`{}` uses {}{counted}", subprog.name, words::bytes(depth.into()));
        if n == 0 {
            draft.at(subprog.start);
            draft.here(text);
        } else {
            draft.label(subprog.start, text);
        }
    }
    draft.help("keep large variables in a per-CPU array map of one entry instead of on the stack");
}

/// Whether a call is to a function that makes a tail call, or calls one that does.
fn calls_tail_caller(story: &Story<'_>, at: u32) -> bool {
    let program = story.program();
    let callee = |at: u32| {
        let inst = program.inst(at).filter(|inst| matches!(inst, Inst::CallLocal { .. }));
        inst.and_then(|_| program.subprog_at(u32::try_from(program.callee(at)?).ok()?))
    };
    let mut waiting: Vec<u32> = callee(at).into_iter().collect();
    let mut seen = Vec::new();
    while let Some(n) = waiting.pop() {
        let subprog = &program.subprogs[n as usize];
        if subprog.has_tail_call {
            return true;
        }
        if !seen.contains(&n) {
            seen.push(n);
            waiting.extend((subprog.start..subprog.end).filter_map(callee));
        }
    }
    false
}

/// Labels the calls on the path that have not returned, each place once; gives a function that is called from itself.
fn calls(story: &Story<'_>, draft: &mut Draft) -> Option<String> {
    let state = story.state(story.last()?);
    let mut called: Vec<(u32, String)> = Vec::new();
    for at in (1..=state.depth).map(|depth| state.frame(depth).callsite) {
        let local = matches!(story.program().inst(at), Some(Inst::CallLocal { .. }));
        called.extend(story.callee(at).filter(|_| local).map(|callee| (at, callee)));
    }
    let again = called.iter().enumerate().find(|(n, (_, name))| called[..*n].iter().any(|(_, known)| known == name));
    let again = again.map(|(_, (_, name))| name.clone());
    for (n, (at, callee)) in called.iter().enumerate() {
        if called[..n].iter().any(|(known, _)| known == at) {
            continue;
        }
        let often = called.iter().filter(|(known, _)| known == at).count();
        let text = if often > 1 {
            format!("calls `{callee}` again and again")
        } else {
            format!("calls `{callee}` at depth {}", n + 1)
        };
        draft.label(*at, text);
    }
    again
}

/// BTF of functions and lines.
pub(super) fn types(story: &Story<'_>, draft: &mut Draft) {
    let program = story.program();
    let unknown = (0..program.len()).find(|at| program.needs(*at) == Some(Rule::FunctionAddresses));
    if let Some(at) = unknown {
        draft.say("a function is handed to a helper as a callback, which this kernel does not know");
        draft.later(story, Rule::FunctionAddresses);
        draft.at(at);
        draft.here("takes the address of a function: this kernel does not know it for one, and counts fewer functions than there are");
        draft
            .help("no helper of this kernel calls back: write a loop with a constant bound, or leave the program out on such kernels");
        return;
    }
    draft.say("the types or lines that come with the program do not fit its code");
    draft.help("compile again with `-g`; if the object was changed or linked by a tool, do it without (`llvm-strip -g` keeps BTF)");
}

/// Tail calls and packet loads in functions that have no types or return no number.
pub(super) fn in_subprog(story: &Story<'_>, draft: &mut Draft) {
    let what = if story.message.contains("tail_call") { "tail calls" } else { "packet loads (`BPF_LD_ABS`)" };
    if story.message.contains("without BTF") {
        draft.say(format!("{what} in functions need the functions' types"));
        draft.help("compile with `-g`");
    } else {
        draft.say(format!("{what} are only allowed in functions that return an `int`"));
        draft.help("let the function return `int`: both may leave it early, with a number");
    }
}

/// Limits on the whole.
pub(super) fn too_many(story: &Story<'_>, draft: &mut Draft) {
    if story.message.contains("maps per program") {
        draft.say(format!("the program uses more than {} maps", story.v.profile.limits.maps));
        draft.help("join maps: more entries, or larger values");
    } else {
        draft.say(format!("the program has more than {} functions", story.v.profile.limits.subprogs));
        draft.help("let clang inline small functions: `__always_inline`");
    }
}
