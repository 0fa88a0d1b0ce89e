//! The method and its options: flags made from the library's table.

use aaclip::DetectorBuilder;
use aaclip::methods::{METHODS, MethodOption, options};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

/// A method and the values of methods' options.
#[derive(Debug, Clone, Default)]
pub struct MethodArgs {
    method: Option<String>,
    options: OptionArgs,
}

impl MethodArgs {
    /// Whether a method was named.
    pub fn is_named(&self) -> bool {
        self.method.is_some()
    }

    /// Adds the values to a detector's settings.
    pub fn apply(&self, mut builder: DetectorBuilder) -> DetectorBuilder {
        if let Some(name) = &self.method {
            builder = builder.method(name);
        }
        self.options.0.iter().fold(builder, |builder, (name, value)| builder.option(name, value))
    }
}

/// The name for the method of the trained weights.
const AUTO: &str = "auto";

impl clap::Args for MethodArgs {
    fn augment_args(command: Command) -> Command {
        let auto = PossibleValue::new(AUTO).help("The method of the adapters; sdp without adapters");
        let names = METHODS.iter().map(|m| PossibleValue::new(m.name).help(m.about));
        let values: Vec<PossibleValue> = std::iter::once(auto).chain(names).collect();
        let method = Arg::new("method")
            .long("method")
            .value_name("METHOD")
            .help("How features and anchors become a map and a score (see `aaclip methods`)")
            .value_parser(PossibleValuesParser::new(values))
            .default_value(AUTO);
        options::all().fold(command.arg(method), |command, option| command.arg(argument(option)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for MethodArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let method = matches.get_one::<String>("method").filter(|name| *name != AUTO).cloned();
        Ok(Self { method, options: OptionArgs::of(options::all(), matches) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The given values of options, by name.
#[derive(Debug, Clone, Default)]
pub struct OptionArgs(pub Vec<(&'static str, String)>);

impl OptionArgs {
    /// Reads the flags made by [`argument`].
    pub fn of(options: impl Iterator<Item = &'static MethodOption>, matches: &ArgMatches) -> Self {
        let said = options.filter_map(|option| {
            if matches.value_source(option.name) == Some(ValueSource::DefaultValue) {
                return None;
            }
            let value = if option.bare.is_some() {
                matches.get_one::<bool>(option.name)?.to_string()
            } else {
                let values: Vec<&str> =
                    matches.get_many::<String>(option.name)?.map(String::as_str).collect();
                values.join(",")
            };
            Some((option.name, value))
        });
        Self(said.collect())
    }
}

/// The flag of an option.
pub fn argument(option: &'static MethodOption) -> Arg {
    let arg = Arg::new(option.name)
        .long(option.name)
        .value_name(option.value)
        .help(option.help)
        .help_heading(option.heading)
        .allow_negative_numbers(true);
    let arg = match option.bare {
        // Only switches need no value.
        Some(bare) => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(bare)
            .value_parser(clap::value_parser!(bool)),
        None if !option.values.is_empty() => {
            let values = option.values.iter().map(|(name, about)| PossibleValue::new(*name).help(*about));
            arg.value_parser(PossibleValuesParser::new(values.collect::<Vec<_>>()))
        }
        None => arg.value_parser(
            clap::builder::StringValueParser::new().try_map(move |text| (option.check)(&text).map(|()| text)),
        ),
    };
    let arg = match option.default {
        Some(default) => arg.default_value(default),
        None => arg,
    };
    if option.list { arg.action(ArgAction::Append).value_delimiter(',') } else { arg }
}
