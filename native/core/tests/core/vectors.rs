use crate::collect::{Collected, Frame, collect, options};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;

pub struct Vector {
    pub name: String,
    pub bytes: Vec<u8>,
    pub splits: Vec<usize>,
    pub expected: Value,
    pub strict: Value,
}

pub fn vectors() -> Vec<Vector> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/vectors/frames.jsonl");
    fs::read_to_string(file).unwrap().lines().map(|line| vector(&serde_json::from_str(line).unwrap())).collect()
}

fn vector(value: &Value) -> Vector {
    let bytes = match value["inputHex"].as_str() {
        Some(hex) => (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect(),
        None => value["input"].as_str().unwrap().as_bytes().to_vec(),
    };
    let splits = value["splits"].as_array().map_or(Vec::new(), |splits| splits.iter().map(number).collect());
    let expected = value["expected"].clone();
    let strict = value.get("expectedStrict").unwrap_or(&expected).clone();
    Vector { name: value["name"].as_str().unwrap().to_owned(), bytes, splits, expected, strict }
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

pub fn is_valid(expected: &Value) -> bool {
    expected["kind"] == "request" || expected["kind"] == "response"
}

#[test]
fn every_vector() {
    let vectors = vectors();
    let mut kinds = [0; 4];
    for strict in [false, true] {
        for stream_after in [2048, 1, 0, usize::MAX] {
            for vector in &vectors {
                let expected = if strict { &vector.strict } else { &vector.expected };
                let run = |cuts: &[usize]| collect(options(strict, stream_after), &vector.bytes, cuts);
                let everywhere: Vec<usize> = (0..vector.bytes.len()).collect();
                let name = &vector.name;
                verify(&run(&[]), expected, &format!("{name} in one piece"));
                verify(&run(&everywhere), expected, &format!("{name} byte by byte"));
                verify(&run(&vector.splits), expected, &format!("{name} at its splits"));
                for split in &vector.splits {
                    verify(&run(&[*split]), expected, &format!("{name} cut at {split}"));
                }
                let kind = ["request", "response", "incomplete", "error"].iter().position(|kind| expected["kind"] == *kind);
                kinds[kind.unwrap()] += 1;
            }
        }
    }
    assert_eq!(vectors.len(), 293);
    assert_eq!(kinds.iter().sum::<usize>(), 293 * 8);
    assert!(kinds.iter().all(|&count| count > 100), "{kinds:?}");
}

#[test]
fn two_valid_vectors_behind_each_other_are_two_frames() {
    let vectors = vectors();
    let valid: Vec<&Vector> = vectors.iter().filter(|vector| is_valid(&vector.expected)).collect();
    let mut pairs = 0;
    for (i, first) in valid.iter().enumerate() {
        for second in [valid[(i + 1) % valid.len()], valid[(i * 7 + 3) % valid.len()], first] {
            let a = &first.bytes[..number(&first.expected["consumedBytes"])];
            let b = &second.bytes[..number(&second.expected["consumedBytes"])];
            let both = [a, b].concat();
            let elevenths: Vec<usize> = (0..both.len()).step_by(11).collect();
            for cuts in [&[][..], &[a.len()], &elevenths] {
                let result = collect(options(false, 2048), &both, cuts);
                let how = format!("{} {}", first.name, second.name);
                assert_eq!(result.fatal, None, "{how}");
                assert_eq!(result.frames.len(), 2, "{how}");
                assert_eq!(described(&result.frames[0], 0), first.expected, "{how}");
                assert_eq!(described(&result.frames[1], a.len()), second.expected, "{how}");
            }
            pairs += 1;
        }
    }
    assert!(pairs > 300);
}

fn verify(result: &Collected, expected: &Value, how: &str) {
    let first = result.frames.first();
    match expected["kind"].as_str().unwrap() {
        "incomplete" => {
            // A streamed head may have been told already; the end has not.
            assert_eq!(result.fatal, None, "{how}");
            assert!(first.is_none_or(|frame| frame.flag == 0), "{how}");
        }
        "error" if expected["fatal"] == true => {
            assert_eq!(json!(result.fatal.unwrap().0), expected["category"], "{how}");
            assert!(first.is_none(), "{how}");
        }
        "error" => {
            let first = first.unwrap_or_else(|| panic!("{how}: {:?}", result.fatal));
            assert_eq!(json!(first.issue), expected["category"], "{how}");
            assert_eq!(json!(first.end), expected["consumedBytes"], "{how}");
        }
        _ => {
            let first = first.unwrap_or_else(|| panic!("{how}: {:?}", result.fatal));
            assert_eq!(first.issue, "", "{how}");
            assert_eq!(&described(first, 0), expected, "{how}");
        }
    }
}

/// A frame as the vectors describe it.
fn described(frame: &Frame, offset: usize) -> Value {
    let mut headers = json!({});
    for (name, value) in &frame.headers {
        let entry = &mut headers[name];
        match entry {
            Value::Null => *entry = json!(value),
            Value::Array(values) => values.push(json!(value)),
            first => *first = json!([first.clone(), value]),
        }
    }
    let path = |value: &str| value.split(' ').filter(|uri| !uri.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut described = json!({
        "kind": if frame.is_response { "response" } else { "request" },
        "tid": frame.tid,
        "toPath": path(&frame.to),
        "fromPath": path(&frame.from),
        "headers": headers,
        "hasBody": frame.body.is_some(),
        "bodyLength": frame.body.as_ref().map_or(0, Vec::len),
        "flag": char::from(frame.flag).to_string(),
        "consumedBytes": frame.end - offset,
    });
    if frame.is_response {
        described["status"] = json!(frame.status);
        described["comment"] = json!(frame.comment);
    } else {
        described["method"] = json!(frame.third);
    }
    if let Some(body) = &frame.body {
        described["bodySha256"] = json!(format!("{:x}", Sha256::digest(body)));
    }
    described
}
