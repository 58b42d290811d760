-- wrk against the metadata service. Arguments: seed PREFIX | mix FILE-OF-IDS. seed: each thread makes empty files, init_upload
-- then commit_upload. mix: 70% reads (a file with its key and chunks, a name, a page of names), 30% writes (a change, an upload
-- begun, one committed). Counts what was answered by status.
local counter, mode, ids, upload, thread_id, sent
local threads = {}

function setup(thread)
    thread:set("thread_number", #threads)
    table.insert(threads, thread)
end

function init(args)
    mode = args[1]
    counter, bad = 0, 0
    math.randomseed(thread_number + 1)
    prefix = string.format("%s%d", args[2]:gsub("[^%w]", ""):sub(-12), thread_number)
    if mode == "mix" then
        ids = {}
        for line in io.lines(args[2]) do ids[#ids + 1] = line end
    end
    pending = {}
end

local function json(method, path, body)
    return wrk.format(method, path, {["Authorization"] = wrk.headers["Authorization"], ["Content-Type"] = "application/json"}, body)
end

local function begin()
    counter = counter + 1
    return json("POST", "/init_upload", string.format('{"name":"%s/%03d/%07d","size":0}', prefix, counter % 1000, counter))
end

local function commit()
    return json("POST", "/commit_upload", string.format('{"upload_id":"%s","chunks":[]}', table.remove(pending)))
end

function request()
    local name = math.random(#(ids or {1}))
    local kind = mode == "seed" and 0.95 or math.random()
    if kind < 0.35 then return json("GET", "/files/" .. ids[name]) end
    if kind < 0.60 then return json("GET", "/files?name=a0/" .. string.format("%03d", name % 1000)) end
    if kind < 0.70 then return json("GET", "/files?limit=10&prefix=seed0x0/" .. string.format("%03d", name % 1000)) end
    if kind < 0.80 then return json("PATCH", "/files/" .. ids[name], string.format('{"media_type":"a/%d"}', counter)) end
    if #pending > 0 then return commit() end
    return begin()
end

function response(status, headers, body)
    if status >= 400 then
        bad = bad + 1
        if bad < 3 then io.stderr:write(status .. " " .. body .. "\n") end
    end
    local id = body:match('"upload_id":"(%x+)"')
    if id then pending[#pending + 1] = id end
end

function done(summary, latency, requests)
    local failed = 0
    for _, thread in ipairs(threads) do failed = failed + thread:get("bad") end
    io.write(string.format("RESULT %d %.1f %.3f %.3f %.3f %d\n", summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000,
        latency:percentile(99) / 1000, latency.max / 1000, failed + summary.errors.status - failed + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
