// A vote: sent with the digest of what is shown, answered with what now stands.

/** @typedef {{ ok: true } | { ok: false, status: number, slug: string, sentence: string, state?: string }} Voted */

/** @typedef {"approve" | "deny" | "changes"} Decision a denial that asks for another form is `changes` */

/**
 * @param {string} workspace @param {string} id @param {Decision} decision @param {string} digest @param {string} note
 * @param {string} confirm The name of the host, typed, where the challenge asks for it.
 * @returns {Promise<Voted>}
 */
export async function castVote(workspace, id, decision, digest, note, confirm = "") {
  const token = document.querySelector('meta[name="csrf-token"]')?.getAttribute("content") ?? "";
  let answer;
  try {
    answer = await fetch(`/api/v1/workspaces/${encodeURIComponent(workspace)}/commands/${encodeURIComponent(id)}/votes`, {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json", accept: "application/json", "x-csrf-token": token },
      body: JSON.stringify({
        decision: decision === "approve" ? "approve" : "deny",
        digest,
        ...(note && { note }),
        ...(confirm && { confirm }),
        ...(decision === "changes" && { wants_changes: true }),
      }),
    });
  } catch {
    return { ok: false, status: 0, slug: "unreachable", sentence: "The server cannot be reached. Your vote was not sent." };
  }
  if (answer.ok) return { ok: true };
  const problem = await answer.json().catch(() => ({}));
  const slug = String(problem.type ?? "").split(":").pop() ?? "";
  return { ok: false, status: answer.status, slug, sentence: sentenceOf(answer.status, problem), state: problem.state };
}

/** @param {number} status @param {{ detail?: string, hint?: string, state?: string }} problem @returns {string} */
function sentenceOf(status, problem) {
  if (status === 409 && problem.state && problem.state !== "pending") return `Too late: this request is already ${problem.state}. Your vote changed nothing.`;
  const said = [problem.detail, problem.hint].filter(Boolean).join(" ");
  return said || `The server answered ${status}. Your vote did not count.`;
}
