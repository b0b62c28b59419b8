//! Programs over packets and over memory.

use crate::{
    boundary::{bytes, copy_out, enter, given, given_mut},
    error::{Failure, alveary_error},
    memory::{Memory, Span},
    object::alveary_program,
    target::alveary_cpu,
};
use alveary::{
    Packet, Packets, ProgramRef, User,
    diag::{Diagnostic, Place},
    runtime::Vcpu,
};
use std::{
    ffi::{c_char, c_int, c_void},
    sync::Arc,
};

/// A packet on its way in, as in the header.
#[repr(C)]
struct alveary_packet {
    data: *const c_void,
    size: usize,
    time: u64,
    ifindex: u32,
}

/// What became of it, as in the header.
#[repr(C)]
struct alveary_verdict {
    out: *mut c_void,
    out_capacity: usize,
    out_size: usize,
    insns: u64,
    code: i32,
    name: [c_char; 28],
}

/// What a run over memory gave, as in the header.
#[repr(C)]
struct alveary_result {
    value: u64,
    insns: u64,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_run(
    program: *const alveary_program,
    cpu: *mut alveary_cpu,
    packet: *const alveary_packet,
    verdict: *mut alveary_verdict,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handles, the structs and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let program = given(program, "the program")?.get();
            let (packet, verdict) = (given(packet, "the packet")?, given_mut(verdict, "the place for the verdict")?);
            on_cpu(program, cpu.as_ref(), |cpu| {
                one(&mut program.packets(cpu)?, packet, verdict)?;
                Ok(0)
            })
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_run_batch(
    program: *const alveary_program,
    cpu: *mut alveary_cpu,
    packets: *const alveary_packet,
    verdicts: *mut alveary_verdict,
    count: usize,
    error: *mut *mut alveary_error,
) -> usize {
    let mut done = 0;
    // SAFETY: the handles, the structs, as many as `count` says, and `error` are what the header says.
    unsafe {
        enter(error, 0, || {
            let program = given(program, "the program")?.get();
            on_cpu(program, cpu.as_ref(), |cpu| {
                let mut hook = program.packets(cpu)?;
                while done < count {
                    let packet = given(packets, "the list of packets").map(|_| &*packets.add(done))?;
                    let place = given(verdicts, "the list of verdicts").map(|_| verdicts.add(done))?;
                    one(&mut hook, packet, &mut *place)?;
                    done += 1;
                }
                Ok(0)
            })
        });
    }
    done
}

/// Runs a program over one packet.
///
/// # Safety
/// The packet's data and the verdict's place are what the header says.
unsafe fn one(hook: &mut Packets<'_>, packet: &alveary_packet, verdict: &mut alveary_verdict) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let data = unsafe { bytes(packet.data, packet.size, "the packet's data") }?;
    let packet = Packet { data, ifindex: packet.ifindex.max(1), time: packet.time };
    let became = hook.run(&packet).map_err(|fault| Failure::trap(fault.diagnostic()))?;
    // Most packets leave as they came: those need no copy of ours.
    let changed = (!became.is(data)).then(|| became.bytes());
    let left = changed.as_deref().unwrap_or(data);
    // SAFETY: the caller's promise.
    unsafe { copy_out(left, verdict.out, verdict.out_capacity) };
    verdict.out_size = left.len();
    verdict.insns = became.insns();
    verdict.code = became.code();
    verdict.name = name(became.name().unwrap_or_default());
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_run_memory(
    program: *const alveary_program,
    cpu: *mut alveary_cpu,
    memory: *mut c_void,
    size: usize,
    result: *mut alveary_result,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handles, the memory, the struct and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let program = given(program, "the program")?.get();
            let result = given_mut(result, "the place for the result")?;
            if memory.is_null() && size != 0 {
                return Err(Failure::null("the memory"));
            }
            let span = Span::new(memory, size);
            on_cpu(program, cpu.as_ref(), |cpu| {
                let end = cpu.run_ready::<Memory>(program.handle().prog(), &span)?;
                cpu.rest();
                let ran = end.map_err(|fault| Failure::trap(fault.diagnostic()))?;
                *result = alveary_result { value: ran.value, insns: ran.insns };
                Ok(0)
            })
        })
    }
}

/// Runs `body` on the caller's CPU, or on CPU 0 if there is none.
fn on_cpu<R>(
    program: ProgramRef<'_, User>,
    cpu: Option<&alveary_cpu>,
    body: impl FnOnce(&mut Vcpu) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let Some(cpu) = cpu else { return body(&mut program.target().vcpu(0)?) };
    let mut cpu = cpu.take()?;
    if !Arc::ptr_eq(cpu.runtime(), program.target().runtime()) {
        let message = format!("program `{}` and the virtual CPU are of different targets", program.spec().name);
        return Err(Diagnostic::new("cpu-foreign", message, Place::Nowhere)
            .help("make the CPU from the target that the program was loaded on")
            .into());
    }
    body(&mut cpu)
}

/// A name as C reads it: cut, if need be, and ended by NUL.
fn name(text: &str) -> [c_char; 28] {
    let mut out = [0; 28];
    for (to, from) in out.iter_mut().take(27).zip(text.bytes()) {
        *to = from as c_char;
    }
    out
}
