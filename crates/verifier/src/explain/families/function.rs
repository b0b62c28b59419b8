//! Functions: what global ones take, how deep calls go, how much stack they use; and their types.

use super::{null, scalar};
use crate::explain::{draft::Draft, origin, story::Story, words};
use alveary_abi::Rule;
use alveary_isa::Inst;

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
        draft.say(format!("calls go deeper than {} functions", story.v.profile.limits.frames));
        calls(story, draft);
        draft.help("let clang inline small functions (`__always_inline`), or call fewer levels deep");
        return;
    }
    let tail = message.contains("tail_calls");
    let sum = story.number("is ").unwrap_or_default();
    draft.say(if tail {
        format!("the functions around a tail call use {sum} bytes of stack; 256 are allowed")
    } else {
        format!("a chain of calls uses {sum} bytes of stack; 512 are allowed")
    });
    let mut users: Vec<_> = program.subprogs.iter().filter(|subprog| subprog.stack_depth > 0).collect();
    users.sort_by_key(|subprog| std::cmp::Reverse(subprog.stack_depth));
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

/// The calls on the path that have not returned.
fn calls(story: &Story<'_>, draft: &mut Draft) {
    let Some(last) = story.last() else { return };
    let state = story.state(last);
    for depth in 1..=state.depth {
        let callsite = state.frame(depth).callsite;
        if matches!(story.program().inst(callsite), Some(Inst::CallLocal { .. }))
            && let Some(callee) = story.callee(callsite)
        {
            draft.label(callsite, format!("calls `{callee}` at depth {depth}"));
        }
    }
}

/// BTF of functions and lines.
pub(super) fn types(_: &Story<'_>, draft: &mut Draft) {
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
