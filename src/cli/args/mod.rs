//! The arguments of the command line: one file per group of flags.

pub mod detect;
pub mod detector;
pub mod eval;
pub mod everyday;
pub mod global;
pub mod method;
pub mod number;
pub mod scoring;
pub mod train;

/// Defines the command line's names of a library enum.
macro_rules! names {
    ($name:ident => $target:ty { $($(#[$doc:meta])* $variant:ident $(= $text:literal)? => $value:expr),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
        pub enum $name { $($(#[$doc])* $(#[value(name = $text)])? $variant),+ }

        impl From<$name> for $target {
            fn from(name: $name) -> Self {
                match name { $($name::$variant => $value),+ }
            }
        }
    };
}
pub(crate) use names;
