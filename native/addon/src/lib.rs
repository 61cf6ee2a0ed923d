//! The framer of msrp-core for JavaScript: conversion of arguments, and nothing else.
//!
//! `index.d.ts` is generated from this crate (`npm run addon:types`); `src/addon/contract.ts` is the other side of it.

mod engine;
mod framer;
mod scan;
mod tls;
mod view;

use napi_derive::napi;

/// Grows with every change of what JavaScript sees: functions, options, codes, words of a record.
const ABI_VERSION: u32 = 5;

/// Version of the binding and of the frame record, to be compared with that of `src/addon/contract.ts`.
#[napi]
#[must_use]
pub fn abi_version() -> u32 {
    ABI_VERSION
}

/// Version of the addon, that of the package it belongs to.
#[napi]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
