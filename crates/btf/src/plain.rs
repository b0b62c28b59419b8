//! Values that are their bytes: what the Rust rendering of types stands on. Knows no BTF.
//!
//! The text of this file goes into every standalone rendering ([`Btf::to_rust`](crate::Btf::to_rust)); it needs nothing
//! but `core`, and no `unsafe`.

use ::core::marker::PhantomData;
use ::core::{array, fmt};

/// A value that is its bytes: each pattern of bits is one, and none of its bytes is undefined.
pub trait Plain: Copy {
    /// Reads a value from the front of `bytes`. Bytes that are missing are taken for zero.
    fn from_bytes(bytes: &[u8]) -> Self;

    /// Writes the value to the front of `bytes`, as far as there is room.
    fn to_bytes(&self, bytes: &mut [u8]);

    /// The value of which every byte is zero.
    fn zeroed() -> Self {
        Self::from_bytes(&[])
    }
}

/// What a bit field may hold.
pub trait Bits: Copy {
    /// The value whose lowest `len` bits these are.
    fn from_bits(bits: u64, len: u32) -> Self;

    /// Its bits; those that do not fit the field are dropped.
    fn to_bits(self) -> u64;
}

macro_rules! numbers {
    ($($ty:ty)*) => {$(
        impl Plain for $ty {
            fn from_bytes(bytes: &[u8]) -> Self {
                let mut own = [0; ::core::mem::size_of::<$ty>()];
                own.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                <$ty>::from_ne_bytes(own)
            }

            fn to_bytes(&self, bytes: &mut [u8]) {
                bytes.iter_mut().zip(self.to_ne_bytes()).for_each(|(to, from)| *to = from);
            }
        }
    )*};
}

numbers! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 }

macro_rules! fields {
    ($($ty:ty, $signed:literal)*) => {$(
        impl Bits for $ty {
            fn from_bits(bits: u64, len: u32) -> Self {
                let unused = 64u32.saturating_sub(len).min(63);
                (if $signed { ((bits << unused) as i64 >> unused) as u64 } else { bits }) as $ty
            }

            fn to_bits(self) -> u64 {
                self as u64
            }
        }
    )*};
}

fields! { u8, false u16, false u32, false u64, false u128, false i8, true i16, true i32, true i64, true i128, true }

impl<T: Plain, const N: usize> Plain for [T; N] {
    fn from_bytes(bytes: &[u8]) -> Self {
        array::from_fn(|i| T::from_bytes(behind(bytes, i * ::core::mem::size_of::<T>())))
    }

    fn to_bytes(&self, bytes: &mut [u8]) {
        for (i, element) in self.iter().enumerate() {
            element.to_bytes(behind_mut(bytes, i * ::core::mem::size_of::<T>()));
        }
    }
}

/// C's `bool`: a byte, of which memory may hold any.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bool(pub u8);

impl Bool {
    /// Whether it is true: not zero.
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    fn from(value: bool) -> Self {
        Self(value as u8)
    }
}

impl fmt::Debug for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Plain for Bool {
    fn from_bytes(bytes: &[u8]) -> Self {
        Self(u8::from_bytes(bytes))
    }

    fn to_bytes(&self, bytes: &mut [u8]) {
        self.0.to_bytes(bytes);
    }
}

impl Bits for Bool {
    fn from_bits(bits: u64, _: u32) -> Self {
        Self((bits != 0) as u8)
    }

    fn to_bits(self) -> u64 {
        self.get() as u64
    }
}

/// A pointer of an eBPF program or of the kernel: a number to everyone else.
#[repr(transparent)]
pub struct Ptr<T> {
    /// The address.
    pub address: u64,
    to: PhantomData<fn() -> T>,
}

impl<T> Ptr<T> {
    /// A pointer to this address.
    pub const fn new(address: u64) -> Self {
        Self { address, to: PhantomData }
    }
}

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ptr<T> {}

impl<T> PartialEq for Ptr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<T> Eq for Ptr<T> {}

impl<T> fmt::Debug for Ptr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

impl<T> Plain for Ptr<T> {
    fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(u64::from_bytes(bytes))
    }

    fn to_bytes(&self, bytes: &mut [u8]) {
        self.address.to_bytes(bytes);
    }
}

/// What a pointer to code points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function(());

/// The bytes from `at` on; none if they end before.
pub fn behind(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// The bytes from `at` on; none if they end before.
pub fn behind_mut(bytes: &mut [u8], at: usize) -> &mut [u8] {
    bytes.get_mut(at..).unwrap_or_default()
}

/// Where the `i`-th lowest bit of a field stands, whose first bit in memory is `at`: in which byte, and its weight.
const fn bit(at: u32, len: u32, i: u32) -> (usize, u8) {
    let place = if cfg!(target_endian = "little") { at + i } else { at + len - 1 - i };
    let weight = if cfg!(target_endian = "little") { 1 << (place % 8) } else { 0x80 >> (place % 8) };
    ((place / 8) as usize, weight)
}

/// The bit field of `len` bits (64 at most) that begins at bit `at` of `bytes`.
pub fn get_bits(bytes: &[u8], at: u32, len: u32) -> u64 {
    let is_set = |i: &u32| {
        let (byte, weight) = bit(at, len, *i);
        bytes.get(byte).is_some_and(|byte| byte & weight != 0)
    };
    (0..len).filter(is_set).fold(0, |bits, i| bits | 1 << i)
}

/// Sets the bit field of `len` bits (64 at most) that begins at bit `at` of `bytes`.
pub fn set_bits(bytes: &mut [u8], at: u32, len: u32, bits: u64) {
    for i in 0..len {
        let (byte, weight) = bit(at, len, i);
        if let Some(byte) = bytes.get_mut(byte) {
            *byte = if bits >> i & 1 == 1 { *byte | weight } else { *byte & !weight };
        }
    }
}

/// Holds a struct against its layout (size; then each field with its offset) and makes it [`Plain`].
#[macro_export]
macro_rules! layout {
    ($ty:ident: $size:literal; $($field:ident: $offset:literal;)*) => {
        const _: () = {
            assert!(::core::mem::size_of::<$ty>() == $size);
            $(assert!(::core::mem::offset_of!($ty, $field) == $offset);)*
        };
        impl Plain for $ty {
            fn from_bytes(_bytes: &[u8]) -> Self {
                Self { $($field: Plain::from_bytes(behind(_bytes, $offset)),)* }
            }

            fn to_bytes(&self, _bytes: &mut [u8]) {
                $(Plain::to_bytes(&{ self.$field }, behind_mut(_bytes, $offset));)*
            }
        }
    };
}

/// Holds a union, which is kept as its bytes, against its size, makes it [`Plain`] and gives it its members.
#[macro_export]
macro_rules! variants {
    ($ty:ident: $size:literal; $($get:ident $set:ident: $member:ty;)*) => {
        const _: () = {
            assert!(::core::mem::size_of::<$ty>() == $size);
            $(assert!(::core::mem::size_of::<$member>() <= $size);)*
        };
        impl Plain for $ty {
            fn from_bytes(bytes: &[u8]) -> Self {
                Self { bytes: Plain::from_bytes(bytes) }
            }

            fn to_bytes(&self, bytes: &mut [u8]) {
                Plain::to_bytes(&self.bytes, bytes);
            }
        }
        impl $ty {
            $(
                pub fn $get(&self) -> $member {
                    Plain::from_bytes(&self.bytes)
                }

                pub fn $set(&mut self, value: $member) {
                    Plain::to_bytes(&value, &mut self.bytes);
                }
            )*
        }
    };
}

/// Gives a type its bit fields: the field of bytes that they stand in; then each with its first bit and its length.
#[macro_export]
macro_rules! bits {
    ($ty:ident.$storage:ident; $($get:ident $set:ident: $value:ty, $at:literal, $len:literal;)*) => {
        impl $ty {
            $(
                pub fn $get(&self) -> $value {
                    Bits::from_bits(get_bits(&self.$storage, $at, $len), $len)
                }

                pub fn $set(&mut self, value: $value) {
                    set_bits(&mut self.$storage, $at, $len, Bits::to_bits(value));
                }
            )*
        }
    };
}

/// Makes an enumeration, which is kept as its number, [`Plain`].
#[macro_export]
macro_rules! enumeration {
    ($ty:ident: $number:ty) => {
        impl Plain for $ty {
            fn from_bytes(bytes: &[u8]) -> Self {
                Self(Plain::from_bytes(bytes))
            }

            fn to_bytes(&self, bytes: &mut [u8]) {
                Plain::to_bytes(&self.0, bytes);
            }
        }
        impl Bits for $ty {
            fn from_bits(bits: u64, len: u32) -> Self {
                Self(Bits::from_bits(bits, len))
            }

            fn to_bits(self) -> u64 {
                Bits::to_bits(self.0)
            }
        }
    };
}
