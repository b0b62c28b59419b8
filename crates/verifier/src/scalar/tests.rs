//! The real code at small widths, where every value can be tried, and at 64 and 32 bits with drawn values.

mod small;
mod tnums;
mod wide;
