//! As much of JSON Schema as the server's description uses.

use serde_json::Value;

/// A description with its schemas.
pub struct Schemas<'a>(pub &'a Value);

impl<'a> Schemas<'a> {
    /// The description of an answer.
    #[track_caller]
    pub fn response(&self, route: &str, method: &str, status: u16) -> &'a Value {
        let response = &self.0["paths"][route][method]["responses"][status.to_string()];
        assert!(response.is_object(), "{method} {route} is not said to answer {status}");
        self.resolve(response)
    }

    fn resolve(&self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    /// Where a value differs from its schema.
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(schema, value, "", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let schema = self.0.pointer(reference.strip_prefix('#').unwrap()).unwrap();
            return self.check(schema, value, at, faults);
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            Value::String(one) => vec![one.as_str()],
            _ => vec![],
        };
        let is = |name: &str| match name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("the check knows no type {other}"),
        };
        if !types.is_empty() && !types.iter().any(|name| is(name)) {
            return faults.push(format!("{at}: {value} is no {types:?}"));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            faults.push(format!("{at}: {value} is not one of {allowed:?}"));
        }
        let number = value.as_f64().unwrap_or(0.0);
        if schema["minimum"].as_f64().is_some_and(|m| number < m)
            || schema["maximum"].as_f64().is_some_and(|m| number > m)
        {
            faults.push(format!("{at}: {value} is out of range"));
        }
        for (i, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{at}/{i}"), faults);
        }
        let Some(object) = value.as_object() else { return };
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                faults.push(format!("{at}: no {key}"));
            }
        }
        if schema["maxProperties"].as_u64().is_some_and(|most| object.len() as u64 > most) {
            faults.push(format!("{at}: too many properties"));
        }
        for (key, inner) in object {
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => faults.push(format!("{at}: {key} is not described")),
                (Value::Null, more @ Value::Object(_)) => self.check(more, inner, key, faults),
                (Value::Null, _) => {}
                (described, _) => self.check(described, inner, &format!("{at}/{key}"), faults),
            }
        }
    }
}
