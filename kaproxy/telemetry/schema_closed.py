"""The fields of `connection.closed`, the canonical line, in its order: a table and nothing else.

One row per field, `|` between its columns: name, type, unit, allowed values, section of the standard (MQTT
5.0 where no other is named), meaning. A field whose type has a `?` is left out where the fact is not known or
did not happen, or is as usual (`USUAL` of `kaproxy/diagnosis/shapes.py`); `table:X` and `list:X` hold the
fields of part X. The values of cause and root are in docs/causes.md.
Read next: `schema.py`, which reads this; `kaproxy/diagnosis/record.py`, which fills the fields in.
"""

CLOSED = """
[head]
conn_id | text | | | | The connection: the same in all of its lines, unique over workers and restarts.

[who]
listener | text | | | | The way in: the configuration's `listener`.
client_addr | text | | | | The client's IP address.
client_port | integer | | 0 to 65535 | | The client's TCP port.
broker_addr | text | | HOST:PORT | | The broker as configured.
client_id | text? | | | 3.1.3.1 | Client identifier; missing: no CONNECT was understood.
protocol_version | text? | | 3.1, 3.1.1, 5.0 | 3.1.2.2 | MQTT version of CONNECT; an unknown level prints itself.
transport | text | | tcp | | What carries MQTT.

[life]
opened_at | time | ISO 8601, UTC, microseconds | | | Accept.
duration_s | number | s | 0 and up | | From accept to the first ending.
phase | text | | @Phase | | Where in its life it first ended.

[facts]
closed_by | text | | client, broker, proxy, unknown | | Who ended it first.
close_how | text | | disconnect, @Ending, tls_alert | | How.
reason_code | integer? | | 0 to 255 | 2.4 | Of the CONNACK or DISCONNECT that ended it.
reason_name | text? | | | 2.4 | Its name in the standard of that version.
connack_code | integer? | | 0 to 255 | 3.2.2.2 | Return or reason code of CONNACK.
disconnect_from_client | integer? | | 0 to 255 | 3.14.2.1 | Reason code of its DISCONNECT, 0 for 3.x.
disconnect_from_broker | integer? | | 0 to 255 | 3.14.2.1 | Reason code of its DISCONNECT, 0 for 3.x.
first_disconnect | text? | | client, broker | 3.14 | Who sent the first; left out where it ended it: closed_by.
proxy_action | text? | | @ProxyAction | | What kaproxy did itself.
proxy_detail | text? | | | | What kaproxy says of it.

[verdict]
cause | text | | docs/causes.md | | What happened.
root | text? | | docs/causes.md | | Why, where the evidence reaches that far.
owner | text | | @Owner | | Who has to act.
confidence | text | | @Confidence | | How sure: a settled verdict rests on a code or on two independent facts.
code | text | | docs/causes.md | | Two letters, short and stable, for counting.
explanation | text | | | | The verdict in a few sentences, with its numbers.
advice | text | | | | What the owner should do.
ruled_out | list:ruled_out | | | | Look-alikes, and the evidence against each.
would_settle | text? | | | | What to look at to be sure.

[keepalive]
keep_alive | integer? | s | 0 to 65535 | 3.1.2.10 | Keep Alive of CONNECT; 0: off.
effective_keep_alive | integer? | s | 0 to 65535 | 3.2.2.3.14 | Server Keep Alive where the broker set one.
limit_low_s | number? | s | | 3.1.2-22 | Shortest silence after which the broker may expire the client.
limit_high_s | number? | s | | | Silence after which it has at the latest.
broker_profile | text | | @profiles | | Whose window that is.
counts | text? | | @Counts | | What that broker takes for a sign of life.
silence_s | number? | s | | | Since the last complete control packet from the client.
silence_bytes_s | number? | s | | | Since its last byte.
silence_counted_s | number? | s | | | Since what `counts` says; left out where that is silence_s.
margin_min_s | number? | s | | | Smallest of limit_low_s - silence_counted_s; negative: beyond it.
gap_max_s | number? | s | | | Longest time between two control packets from the client that it survived.
late_gaps | integer | | 0 and up | 3.1.2-20 | Gaps longer than the Keep Alive that it survived.
idle_s | number? | s | | | Since any byte, either way.
path_idle_limit_s | number? | s | | | The configured `warnings.path_idle_limit`, where there is one.
downlink_idle_s | number? | s | | | Since the last byte from the broker.
downlink_in_silence | integer? | | 0 and up | | Packets from the broker in the last silence, PINGRESP left out.
downlink_gap_s | number? | s | | | Longest time without a byte from it in that; left out where that is silence_s.

[pings]
pingreqs | integer | | 0 and up | 3.12 | PINGREQ from the client.
pingresps | integer | | 0 and up | 3.13 | PINGRESP from the broker.
pings_open | integer? | | 0 and up | | PINGREQ without PINGRESP at the first ending.
ping_wait_s | number? | s | | | How long the oldest of them had waited.
ping_rtt_last_ms | number? | ms | | | From PINGREQ to PINGRESP, the last.
ping_rtt_max_ms | number? | ms | | | From PINGREQ to PINGRESP, the longest.
ping_ago_s | number? | s | | | Since the last PINGREQ.

[last]
last_from_client | table:sighting? | | | | Last complete control packet from the client.
last_from_broker | table:sighting? | | | | Last complete control packet from the broker.
partial_from_client | table:partial? | | | | Control packet that was still coming.
partial_from_broker | table:partial? | | | | Control packet that was still coming.
late_from_client | table:late? | | | | First control packet after the first ending.
late_from_broker | table:late? | | | | First control packet after the first ending.

[legs]
client_leg | table:leg | | | RFC 9293 | What the kernel knows of the client leg.
broker_leg | table:leg | | | RFC 9293 | What the kernel knows of the broker leg.

[counts]
packets_from_client | integer | | 0 and up | | Complete control packets.
packets_from_broker | integer | | 0 and up | | Complete control packets.
bytes_from_client | integer | B | 0 and up | | Bytes that came.
bytes_from_broker | integer | B | 0 and up | | Bytes that came.
inflight_from_client | integer? | | 0 and up | 4.3 | PUBLISH of QoS 1 and 2 not acknowledged to the end.
inflight_from_broker | integer? | | 0 and up | 4.3 | PUBLISH of QoS 1 and 2 not acknowledged to the end.
will_present | boolean? | | | 3.1.2.5 | Did CONNECT carry a Will.
session_present | boolean? | | | 3.2.2.1.1 | Session Present of CONNACK.
clean_start | boolean? | | | 3.1.2.4 | Clean Start; Clean Session in 3.x.

[others]
taken_over_by | table:rival? | | | 3.1.4-3 | The connection that took its client identifier.
took_over | table:rival? | | | 3.1.4-3 | The connection whose client identifier it took.
neighbours | table:neighbours? | | | | What others' endings tell; missing where a peer said why it ended.
closed_within_1s | integer? | | 1 and up | | Connections, of all workers, that ended in that second, this one too.

[proxy]
relay_dwell_max_ms | number | ms | | | Longest time kaproxy held a chunk.
loop_lag_max_ms | number | ms | | | Longest time kaproxy's loop was late.
loop_lag_recent_ms | number? | ms | | | The same since the last silence or open PINGREQ began; left out where equal.
unreadable | table:unreadable? | | | | Where a direction stopped being understood.
oddities | list? | | | | Things outside the standard that were seen and could be read.
observer_error | text? | | | | The fault of kaproxy's own that ended the observation.

[story]
history | text | | | | What happened, a letter each; see *History* below.
frames | list | | | | The last control packets, one text each; see *Frames* below.
"""

PARTS = """
[leg]
ending | text? | | @Ending | | How this peer ended its leg; missing: it never did.
ended_s | number? | s | | | From accept to that ending.
unsent | integer? | B | | | Held for this peer and not yet sent; left out at 0 where `window` is there.
unacked | integer? | B | | | Sent to it and not acknowledged by its kernel; left out at 0 where `window` is there.
retransmits | integer? | | | | Unanswered retransmissions (tcpi_retransmits); left out at 0 where `window` is there.
backoff | integer? | | | | Doublings of the retransmission timer (tcpi_backoff); left out at 0 where `window` is there.
rtt_ms | number? | ms | | | Smoothed round trip to its kernel.
last_ack_s | number? | s | | | Since its kernel acknowledged anything.
window | integer? | B | | | Its receive window; 0: it does not read.
fin_acked | boolean? | | | | Did its kernel acknowledge the FIN passed on to it; missing: none was passed on.
stalled_s | number? | s | | | Total time it did not take what was held for it.
stalled_now | boolean? | | | | Was it not taking bytes at the first ending.

[sighting]
packet | text | | | 2.1.2 | Control packet, in the standard's spelling.
ago_s | number | s | | | Before the first ending.

[partial]
packet | text | | | 2.1.2 | Control packet.
size | integer? | B | | | Its whole size; missing: not known yet.
seen | integer | B | | | How much of it had come.

[late]
packet | text | | | 2.1.2 | Control packet.
after_s | number | s | | | After the first ending.

[rival]
conn_id | text | | | | The other connection.
client_addr | text | | | | Its client's IP address.
gap_s | number? | s | | | From the newer CONNECT to the older one's first ending.
keep_alive | integer? | s | 0 to 65535 | 3.1.2.10 | Its Keep Alive.
protocol_version | text? | | 3.1, 3.1.1, 5.0 | 3.1.2.2 | Its protocol version.
clean_start | boolean? | | | 3.1.2.4 | Its Clean Start.
will_present | boolean? | | | 3.1.2.5 | Did its CONNECT carry a Will.

[neighbours]
live | integer? | | 1 and up | | Connections of this worker open just before the first ending, this one too.
ended_by_broker | integer? | | | | Connections the broker ended wordlessly in that second, this one too.
dials_refused | integer? | | | | Dials the broker's host refused from 1 s before the first ending to this line.
same_age | integer? | | | | Earlier wordless endings at this age.
same_idle | integer? | | | | Earlier wordless endings after this idle time.
same_idle_keep_alives | integer? | | | | How many different Keep Alives those and this one had.
connects_1m | integer? | | 1 and up | | CONNECTs with this client identifier within a minute, this one too.
previous_ended_s | number? | s | | | From the last ending of this client identifier to this CONNECT.
near_age | integer? | | | | Earlier wordless endings at 0.8 to 1.25 x this age, `same_age` among them.
near_idle | integer? | | | | Earlier wordless endings after 0.8 to 1.25 x this idle time, `same_idle` among them.

[ruled_out]
cause | text | | docs/causes.md | | A cause, or cause/root, that looks alike.
because | text | | | | The evidence against it.

[unreadable]
side | text | | client, broker | | Who sent it.
what | text | | | | What is wrong with it, or what it looks like: tls, http, ssh, …
packet | text | | | 2.1.2 | Control packet it was in.
offset | integer | B | | | Where in its direction.
detail | text | | | | In words.
"""
