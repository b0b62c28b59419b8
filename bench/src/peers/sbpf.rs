//! solana-sbpf, its JIT, set as it comes: with its meter and its address translation.

use super::CALL;
use crate::rounds::Runs;
use solana_sbpf::{
    aligned_memory::AlignedMemory,
    declare_builtin_function, ebpf,
    elf::Executable,
    error::{ProgramResult, StableResult},
    memory_region::{AccessType, MemoryMapping, MemoryRegion},
    program::{BuiltinProgram, FunctionRegistry, SBPFVersion},
    verifier::RequisiteVerifier,
    vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode},
};
use std::{fmt, io, ptr::NonNull, sync::Arc};

/// The version whose instructions are closest to eBPF's.
const VERSION: SBPFVersion = SBPFVersion::V3;
/// Where programs see the map's values.
const VALUES: u64 = ebpf::MM_INPUT_START + (1 << 20);
const HELPERS: [&str; 2] = ["look_up", "update"];

/// A program with its memory.
pub(crate) struct Sbpf {
    executable: Executable<Context>,
    loader: Arc<BuiltinProgram<Context>>,
    context: Context,
    stack: AlignedMemory<{ ebpf::HOST_ALIGN }>,
    length: u64,
    _packet: Vec<u8>,
}

struct Context {
    memory: MemoryMapping,
}

impl ContextObject for Context {
    fn consume(&mut self, _: u64) {}

    fn get_remaining(&self) -> u64 {
        i64::MAX as u64
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from_mut(&mut self.memory)
    }
}

impl Context {
    /// The address of a program's bytes in this process.
    fn address(&self, at: u64, length: u64) -> Result<u64, io::Error> {
        match self.memory.map(AccessType::Load, at, length) {
            StableResult::Ok(buffer) => Ok(buffer.ptr() as *const u8 as u64),
            StableResult::Err(error) => Err(io::Error::other(error.to_string())),
        }
    }
}

declare_builtin_function!(
    /// Looks a key up in the shared map.
    LookUp,
    fn rust(context: &mut Context, map: u64, key: u64, _c: u64, _d: u64, _e: u64,) -> Result<u64, io::Error> {
        let value = super::look_up(map, context.address(key, 4)?);
        let (start, _) = values();
        Ok(if value == 0 { 0 } else { value - start + VALUES })
    }
);

declare_builtin_function!(
    /// Writes an entry of the shared map.
    Update,
    fn rust(context: &mut Context, map: u64, key: u64, value: u64, flags: u64, _e: u64,) -> Result<u64, io::Error> {
        Ok(super::update(map, context.address(key, 4)?, context.address(value, 8)?, flags))
    }
);

fn values() -> (u64, u64) {
    super::TABLE.get().map_or((0, 0), |table| table.values)
}

impl Sbpf {
    pub(crate) fn compile(mut code: Vec<u8>, packet: Vec<u8>) -> Result<Sbpf, String> {
        let mut loader = BuiltinProgram::new_loader(Config::default());
        loader.register_definition::<LookUp>(HELPERS[0]).map_err(said)?;
        loader.register_definition::<Update>(HELPERS[1]).map_err(said)?;
        let loader = Arc::new(loader);
        let mut functions = FunctionRegistry::default();
        for at in (0..code.len()).step_by(8).filter(|at| code[*at] == CALL).collect::<Vec<_>>() {
            let target = i32::from_le_bytes([code[at + 4], code[at + 5], code[at + 6], code[at + 7]]);
            if code[at + 1] >> 4 == 1 {
                let start = (at / 8 + 1).wrapping_add_signed(target as isize);
                functions.register_function(start as u32, "function", start).map_err(said)?;
            } else {
                let name = HELPERS[usize::from(target == 2)];
                code[at + 4..at + 8].copy_from_slice(&ebpf::hash_symbol_name(name.as_bytes()).to_le_bytes());
            }
        }
        let executable = Executable::from_text_bytes(&code, loader.clone(), VERSION, functions).map_err(said)?;
        executable.verify::<RequisiteVerifier>().map_err(said)?;
        executable.jit_compile().map_err(said)?;
        let config = executable.get_config();
        let mut stack = AlignedMemory::zero_filled(config.stack_size());
        let (length, address) = (packet.len() as u64, packet.as_ptr().cast_mut());
        let (table, bytes) = values();
        let memory = |address: *mut u8, length| std::ptr::slice_from_raw_parts_mut(address, length);
        let regions = vec![
            executable.get_ro_region(),
            MemoryRegion::new(&mut stack, ebpf::MM_STACK_START),
            MemoryRegion::new(memory(address, packet.len()), ebpf::MM_INPUT_START),
            MemoryRegion::new(memory(std::ptr::with_exposed_provenance_mut(table as usize), bytes as usize), VALUES),
        ];
        // SAFETY: stack, packet and the map live as long as this; programs alone write to them, bytes of any kind.
        let memory = unsafe { MemoryMapping::new(regions, config, VERSION) }.map_err(said)?;
        Ok(Sbpf { executable, loader, context: Context { memory }, stack, length, _packet: packet })
    }
}

fn said(error: impl fmt::Display) -> String {
    error.to_string()
}

impl Runs for Sbpf {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let mut result = 0;
        let mut frames: [CallFrame; 0] = [];
        for _ in 0..times {
            let mut machine = EbpfVm::new(self.loader.clone(), VERSION, &mut self.context, self.stack.len());
            machine.registers[1] = ebpf::MM_INPUT_START;
            machine.registers[2] = self.length;
            let (_, run) = machine.execute_program(&self.executable, &mut ExecutionMode::Jit, &mut frames);
            result = match run {
                ProgramResult::Ok(value) => std::hint::black_box(value),
                ProgramResult::Err(error) => return Err(error.to_string()),
            };
        }
        Ok(result as u32)
    }
}
