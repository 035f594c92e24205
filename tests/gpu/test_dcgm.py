import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetenv.gpu.dcgm import read_dcgm

OLD = {
    "DCGM GPU Diagnostic": {
        "test_categories": [
            {
                "category": "Deployment",
                "tests": [
                    {"name": "Denylist", "results": [{"gpu_ids": "0,1", "status": "Pass"}]},
                    {"name": "Page Retirement/Row Remap", "results": [{"gpu_ids": "1", "status": "FAIL", "info": "x"}]},
                ],
            }
        ]
    }
}
NEW = {
    "DCGM Diagnostic": {
        "test_categories": [
            {
                "category": "Deployment",
                "tests": [
                    {
                        "name": "software",
                        "results": [
                            {"entity_group": "GPU", "entity_id": 3, "status": "Pass"},
                            {
                                "entity_group": "GPU",
                                "entity_id": 4,
                                "status": "Fail",
                                "warnings": [
                                    {"error_category": 8, "error_id": 29, "warning": "Persistence mode is off"}
                                ],
                            },
                        ],
                        "test_summary": {"status": "Fail"},
                    }
                ],
            }
        ]
    },
    "metadata": {"version": "4.2.3"},
}


def test_forms_before_and_since_version_4_are_read():
    tests, message = read_dcgm(json.dumps(OLD))
    assert message == ""
    assert [(test.name, test.gpu, test.status, test.text) for test in tests] == [
        ("Denylist", 0, "Pass", ""),
        ("Denylist", 1, "Pass", ""),
        ("Page Retirement/Row Remap", 1, "FAIL", "x"),
    ]
    tests, _ = read_dcgm("Successfully ran diagnostic for group. " + json.dumps(NEW))
    assert [(test.gpu, test.status, test.text) for test in tests] == [
        (3, "Pass", ""),
        (4, "Fail", "Persistence mode is off"),
    ]


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("Error: unable to establish a connection to the host engine", "Error: unable to establish a connection"),
        ("", "dcgmi said nothing"),
        ("{}", "dcgmi told of no test"),
        ('{"DCGM Diagnostic": {"runtime_error": "the GPUs are in use"}}', "the GPUs are in use"),
        ('{"a":' * 100_000, '{"a":{"a":'),
    ],
)
def test_why_there_are_no_tests_is_told(output, why):
    tests, message = read_dcgm(output)
    assert tests == ()
    assert message.startswith(why)
    assert len(message) <= 300


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["test_categories", "tests", "results", "status", "gpu_ids", "entity_id", "warnings"]),
                inner,
            )
        ),
    )
)
def test_no_document_breaks_the_reading(document):
    read_dcgm(json.dumps({"DCGM Diagnostic": document}))
