"""The table of doors, pinned: a new door, another permission or a lost one is seen here first."""

from failgate.web.routes import API, DOWNLOADS, INGEST, LIVE, OAUTH, OPERATION, SCIM

PINNED = """
GET /healthz public:page:read operation
GET /readyz public:page:read operation
GET /metrics platform:metrics:read operation loopback
POST /csp-reports public:policy:report operation
GET /api/openapi.json public:page:read api
GET /api/docs public:page:read page
GET /api/schemas/manifest-v1.json public:page:read api
GET /static/{name:path} public:page:read operation
GET /api/v1/whoami account:self:read api
POST /commands workspace:command:submit api
GET /commands workspace:command:read api
GET /commands/{id} workspace:command:read api own=workspace:command:submit
GET /commands/{id}/notice workspace:command:read api
GET /commands/{id}/history workspace:command:read api
POST /commands/{id}/votes workspace:command:vote api
POST /commands/{id}/edits/trial workspace:command:vote api
POST /commands/{id}/edits workspace:command:vote api sensitive
POST /commands/{id}/cancel workspace:command:submit api
POST /commands/{id}/consume workspace:command:consume api
POST /commands/{id}/outcome workspace:command:consume api
GET /glass workspace:command:read api
POST /commands/{id}/glass workspace:command:vote api sensitive
POST /commands/{id}/glass-review workspace:command:vote api sensitive
GET /mutes workspace:command:read api
POST /commands/{id}/mute workspace:command:vote api
DELETE /mutes/{id} workspace:command:vote api
POST /policy/explain workspace:command:submit api
GET /rules workspace:rule:read api
POST /rules workspace:rule:write api sensitive
POST /rules/starter workspace:rule:write api sensitive
DELETE /rules/{id} workspace:rule:write api sensitive
GET /rule-proposals workspace:rule:read api
POST /rule-proposals workspace:rule:write api sensitive
POST /rule-proposals/{id}/approve workspace:rule:write api sensitive
DELETE /rule-proposals/{id} workspace:rule:write api sensitive
PUT /rule-terms workspace:settings:write api sensitive
GET /observing workspace:command:read api
POST /observing workspace:observing:write api sensitive
GET /observing/{id} workspace:command:read api
DELETE /observing/{id} workspace:observing:write api sensitive
POST /reports workspace:report:create api
PUT /reports/{id}/artifacts/{sha256} workspace:report:create api
POST /reports/{id}/seal workspace:report:create api
GET /reports workspace:report:read api
GET /reports/{id} workspace:report:read api
GET /reports/{id}/context workspace:context:read api
GET /reports/{id}/artifacts/{sha256} workspace:report:read api
DELETE /reports/{id} workspace:report:delete api sensitive
POST /reports/{id}/shares workspace:share:write api
GET /reports/{id}/shares workspace:share:read api
DELETE /reports/{id}/shares/{link} workspace:share:write api
GET /redaction-rules workspace:redaction:read api
POST /redaction-rules workspace:redaction:write api sensitive
DELETE /redaction-rules/{id} workspace:redaction:write api sensitive
POST /reports/{id}/hold workspace:report:hold api sensitive
DELETE /reports/{id}/hold workspace:report:hold api sensitive
GET /retention workspace:settings:read api
POST /retention workspace:report:delete api sensitive
GET /usage workspace:usage:read api
GET /usage.csv workspace:usage:read api
GET /deletion workspace:deletion:write api
POST /deletion workspace:deletion:write api sensitive
POST /deletion/{id}/confirm workspace:deletion:write api sensitive
DELETE /deletion/{id} workspace:deletion:write api
GET /api/v1/deleted-workspaces account:self:read api
GET /api/v1/deleted-workspaces/{id} account:self:read api
POST /api/v1/platform/limits platform:limit:write api sensitive
GET /report-groups workspace:report:read api
GET /report-groups/{id} workspace:report:read api
POST /report-groups/{id}/resolve workspace:report:triage api
POST /report-groups/{id}/ignore workspace:report:triage api
POST /report-groups/{id}/reopen workspace:report:triage api
POST /reports/documents/{format} workspace:report:create api
GET /certificates workspace:agent:read api
POST /certificates workspace:agent:write api sensitive
DELETE /certificates/{id} workspace:agent:write api sensitive
GET /device-keys workspace:member:read api
POST /device-keys workspace:sealed:decide api
DELETE /device-keys/{id} workspace:sealed:decide api
POST /agent-keys workspace:command:submit api
DELETE /agent-keys/{id} workspace:member:write api sensitive
GET /key-manifests workspace:command:submit api
POST /key-manifests workspace:member:write api sensitive
POST /sealed-rules workspace:member:write api sensitive
GET /sealed-runs workspace:command:read api
POST /sealed-runs workspace:command:consume api
GET /sealed-commands workspace:command:read api
POST /sealed-commands workspace:command:submit api
GET /sealed-commands/{id} workspace:command:read api own=workspace:command:submit
POST /sealed-commands/{id}/decisions workspace:sealed:decide api
POST /sealed-commands/{id}/cancel workspace:command:submit api
POST /sealed-commands/{id}/receipt workspace:command:consume api
GET /agents workspace:agent:read api
POST /agents workspace:agent:write api sensitive
GET /agents/{id} workspace:agent:read api
POST /agents/{id} workspace:agent:write api
POST /agents/{id}/owner workspace:agent:write api sensitive
POST /agents/{id}/disable workspace:agent:write api
GET /agents/{id}/runs workspace:command:read api
GET /agents/{id}/tokens workspace:agent:read api
POST /agents/{id}/tokens workspace:agent:write api sensitive
DELETE /agents/{id}/tokens/{token} workspace:agent:write api
GET /members workspace:member:read api
POST /members/{id}/role workspace:member:write api sensitive
DELETE /members/{id} workspace:member:write api sensitive
GET /invitations workspace:member:read api
POST /invitations workspace:member:write api sensitive
DELETE /invitations/{id} workspace:member:write api
GET /api-keys workspace:key:read api
POST /api-keys workspace:key:write api sensitive
DELETE /api-keys/{id} workspace:key:write api
GET /webhooks workspace:notification:read api
POST /webhooks workspace:notification:write api sensitive
GET /webhooks/{id} workspace:notification:read api
POST /webhooks/{id} workspace:notification:write api sensitive
POST /webhooks/{id}/secret workspace:notification:write api sensitive
DELETE /webhooks/{id} workspace:notification:write api sensitive
POST /webhooks/{id}/test workspace:notification:write api
GET /webhooks/{id}/deliveries workspace:notification:read api
POST /webhooks/{id}/deliveries/{delivery}/resend workspace:notification:write api
POST /recordings workspace:recording:create api
PUT /recordings/{id}/chunks/{number} workspace:recording:create api
POST /recordings/{id}/heartbeat workspace:recording:create api
POST /recordings/{id}/end workspace:recording:create api
GET /recordings workspace:recording:read api
GET /recordings/{id} workspace:recording:read api
GET /recordings/{id}/cast workspace:recording:read api
DELETE /recordings/{id} workspace:report:delete api sensitive
GET /recordings/{id}/proof workspace:recording:read api
GET /reviewers workspace:audit:read api
GET /audit/records workspace:audit:read api
GET /audit/checkpoint workspace:audit:read api
GET /audit/proof/inclusion workspace:audit:read api
GET /audit/proof/consistency workspace:audit:read api
GET /audit/tile/{place:path} workspace:audit:read api
GET /.well-known/oauth-authorization-server public:page:read oauth
GET /.well-known/jwks.json public:page:read oauth
POST /oauth/device_authorization public:session:open oauth
POST /oauth/token public:session:open oauth
POST /oauth/revoke public:session:open oauth
WS /api/v1/agent workspace:command:submit live bearer credential
WS /api/v1/live workspace:command:read live query
WS /recordings/{id}/live workspace:recording:read live
GET /scim/v2/ServiceProviderConfig scim:schema:read scim bearer
GET /scim/v2/ResourceTypes scim:schema:read scim bearer
GET /scim/v2/ResourceTypes/{name} scim:schema:read scim bearer
GET /scim/v2/Schemas scim:schema:read scim bearer
GET /scim/v2/Schemas/{name} scim:schema:read scim bearer
GET /scim/v2/Users scim:resource:read scim bearer
POST /scim/v2/Users scim:resource:write scim bearer
POST /scim/v2/Users/.search scim:resource:search scim bearer
GET /scim/v2/Users/{id} scim:resource:read scim bearer
PUT /scim/v2/Users/{id} scim:resource:write scim bearer
PATCH /scim/v2/Users/{id} scim:resource:write scim bearer
DELETE /scim/v2/Users/{id} scim:resource:write scim bearer
GET /scim/v2/Groups scim:resource:read scim bearer
POST /scim/v2/Groups scim:resource:write scim bearer
POST /scim/v2/Groups/.search scim:resource:search scim bearer
GET /scim/v2/Groups/{id} scim:resource:read scim bearer
PUT /scim/v2/Groups/{id} scim:resource:write scim bearer
PATCH /scim/v2/Groups/{id} scim:resource:write scim bearer
DELETE /scim/v2/Groups/{id} scim:resource:write scim bearer
GET /scim/v2 scim:resource:read scim bearer
POST /scim/v2/.search scim:resource:search scim bearer
POST /scim/v2/Bulk scim:resource:write scim bearer
GET /a/{ticket} public:page:read api
POST /api/{project}/envelope public:report:ingest api
"""


def line(door):
    words = [door.method, door.path.replace("/api/v1/workspaces/{workspace}", ""), str(door.permission), door.kind]
    words += ["sensitive"] if door.is_sensitive else []
    words += ["loopback"] if door.is_open_to_loopback else []
    words += [f"own={door.own_permission}"] if door.own_permission else []
    words += [*sorted(door.credentials or ()), *([door.workspace_from] if door.workspace_from else [])]
    return " ".join(words)


def test_the_table_is_as_it_was_reviewed():
    assert [line(door) for door in (*OPERATION, *API, *OAUTH, *LIVE, *SCIM, *DOWNLOADS, *INGEST)] == PINNED.split("\n")[
        1:-1
    ]
