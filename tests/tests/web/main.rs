//! The pages that a core serves: in a real browser, as they were built, and by what.

mod browser;
mod built;
mod words;
