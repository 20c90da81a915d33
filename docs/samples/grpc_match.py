"""Ask a matcher directly, over gRPC: grpc_match.py TARGET SOURCE_URL TARGET_URL

TARGET is unix:/path/image.sock or host:port; with TLS where MESH_TLS_CERT, MESH_TLS_KEY and MESH_TLS_CA name files. The contract is
asked of the service itself (reflection), so nothing has to be generated. DEADLINE_SECONDS is the time that the call may take (10).
"""

import json
import os
import sys
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status


def open_channel(target: str) -> grpc.Channel:
    files = [os.environ.get(f"MESH_TLS_{name}") for name in ("CA", "KEY", "CERT")]
    if not all(files):
        return grpc.insecure_channel(target)
    authority, key, certificate = (Path(file).read_bytes() for file in files)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(authority, key, certificate))


def code_of(error: grpc.RpcError) -> str:
    """The mesh's own code, which is the same in HTTP and gRPC; where the service was not reached, that of gRPC."""
    for detail in getattr(rpc_status.from_call(error), "details", ()):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return error.code().name


target, source_url, target_url = sys.argv[1:]
seconds = float(os.environ.get("DEADLINE_SECONDS", "10"))
with open_channel(target) as channel:
    try:
        contract = DescriptorPool(ProtoReflectionDescriptorDatabase(channel)).FindServiceByName("mediamesh.v1.MatcherService")
        match = contract.FindMethodByName("Match")
        Request, Response = GetMessageClass(match.input_type), GetMessageClass(match.output_type)
        ask = channel.unary_unary(
            f"/{contract.full_name}/Match", request_serializer=Request.SerializeToString, response_deserializer=Response.FromString
        )
        # Without a deadline the service sets one of 30 s; with one it ends its work when the time is up.
        response = ask(Request(source_url=source_url, target_url=target_url), timeout=seconds)
    except grpc.RpcError as error:
        sys.exit(f"{code_of(error)}: {error.details()}")
print(json.dumps(MessageToDict(response.result, always_print_fields_with_no_presence=True)))
