/* go_answers: what each command answers with, in the notation of go_type. Source: the types of ipfs/kubo 0.42
 * core/commands, and of the libraries that it answers with. */
#include "print/go_type.h"

/* Names that several answers have, or one that holds itself. */
static const struct {
    const char *name, *notation;
} definitions[] = {
    {"AddrInfo", "peer.AddrInfo{ID peer.ID;Addrs []multiaddr.Multiaddr}"},
    {"BlockStat", "commands.BlockStat{Key string;Size int}"},
    {"Bootstrap", "commands.BootstrapOutput{Peers []string}"},
    {"CidFormat", "commands.CidFormatRes{CidStr string;Formatted string;ErrorMsg string}"},
    {"CodeAndName", "commands.CodeAndName{Code int;Name string}"},
    {"Command",
     "commands.Command{Name string;Subcommands []@Command;Options []commands.Option{Names []string};"
     "-showOpts bool}"},
    {"Flag", "config.Flag(int8)"},
    {"Foreground", "commands.P2PForegroundOutput{Status string;Protocol string;Address string}"},
    {"Id", "commands.IdOutput{ID string;PublicKey string;Addresses []string;AgentVersion string;"
           "Protocols []protocol.ID(string)}"},
    {"IpnsEntry", "name.IpnsEntry{Name string;Value string}"},
    {"Key", "commands.KeyOutput{Name string;Id string}"},
    {"Keys", "commands.KeyOutputList{Keys []@Key}"},
    {"Limits", "libp2p.ResourceLimitsAndUsage{Memory rcmgr.LimitVal64(int64);MemoryUsage int64;"
               "FD rcmgr.LimitVal(int);FDUsage int;Conns rcmgr.LimitVal(int);ConnsUsage int;"
               "ConnsInbound rcmgr.LimitVal(int);ConnsInboundUsage int;ConnsOutbound rcmgr.LimitVal(int);"
               "ConnsOutboundUsage int;Streams rcmgr.LimitVal(int);StreamsUsage int;"
               "StreamsInbound rcmgr.LimitVal(int);StreamsInboundUsage int;"
               "StreamsOutbound rcmgr.LimitVal(int);StreamsOutboundUsage int}"},
    {"ListRes",
     "filestore.ListRes{Status filestore.Status(int32);ErrorMsg string;Key cid.Cid;FilePath string;"
     "Offset uint64;Size uint64}"},
    {"Object", "objectcmd.Object{Hash string;Links []objectcmd.Link{Name string;Hash string;Size uint64}}"},
    {"Peering", "commands.peeringResult{ID peer.ID;Status string}"},
    {"PinOutput", "pin.PinOutput{Pins []string}"},
    {"PinStatus", "pin.RemotePinOutput{Status string;Cid string;Name string}"},
    {"Provide",
     "commands.provideStats{Sweep *stats.Stats{Closed:closed bool;"
     "Connectivity:connectivity stats.Connectivity{Status:status string;Since:since time.Time};"
     "Queues:queues stats.Queues{PendingKeyProvides:pending_key_provides int64;"
     "PendingRegionProvides:pending_region_provides int64;"
     "PendingRegionReprovides:pending_region_reprovides int64};"
     "Schedule:schedule stats.Schedule{Keys:keys int64;Regions:regions int64;"
     "AvgPrefixLength:avg_prefix_length float64;NextReprovideAt:next_reprovide_at time.Time;"
     "NextReprovidePrefix:next_reprovide_prefix bitstr.Key(string)};"
     "Workers:workers stats.Workers{Max:max int;Active:active int;ActivePeriodic:active_periodic int;"
     "ActiveBurst:active_burst int;DedicatedPeriodic:dedicated_periodic int;"
     "DedicatedBurst:dedicated_burst int;QueuedPeriodic:queued_periodic int;QueuedBurst:queued_burst int;"
     "MaxProvideConnsPerWorker:max_provide_conns_per_worker int};"
     "Timing:timing stats.Timing{Uptime:uptime time.Duration(int64);"
     "ReprovidesInterval:reprovides_interval time.Duration(int64);CycleStart:cycle_start time.Time;"
     "CurrentTimeOffset:current_time_offset time.Duration(int64);"
     "MaxReprovideDelay:max_reprovide_delay time.Duration(int64)};"
     "Operations:operations stats.Operations{"
     "Ongoing:ongoing stats.OngoingOperations{RegionProvides:region_provides int;"
     "KeyProvides:key_provides int;RegionReprovides:region_reprovides int;"
     "KeyReprovides:key_reprovides int};"
     "Past:past stats.PastOperations{RecordsProvided:records_provided int64;"
     "KeysProvided:keys_provided int64;KeysFailed:keys_failed int64;"
     "KeysProvidedPerMinute:keys_provided_per_minute float64;"
     "KeysReprovidedPerMinute:keys_reprovided_per_minute float64;"
     "RegionReprovideDuration:reprovide_duration time.Duration(int64);"
     "AvgKeysPerReprovide:avg_keys_per_reprovide float64;"
     "RegionReprovidedLastCycle:regions_reprovided_last_cycle int64}};"
     "Network:network stats.Network{Peers:peers int;Reachable:reachable int;"
     "CompleteKeyspaceCoverage:complete_keyspace_coverage bool;AvgRegionSize:avg_region_size float64;"
     "AvgHolders:avg_holders float64;ReplicationFactor:replication_factor int}};"
     "Legacy *provider.ReproviderStats{TotalReprovides uint64;LastReprovideBatchSize uint64;"
     "ReprovideInterval time.Duration(int64);AvgReprovideDuration time.Duration(int64);"
     "LastReprovideDuration time.Duration(int64);LastRun time.Time};FullRT bool}"},
    {"QueryEvent", "routing.QueryEvent{ID peer.ID;Type routing.QueryEventType(int);Responses []*@AddrInfo;"
                   "Extra string}"},
    {"Ref", "commands.RefWrapper{Ref string;Err string}"},
    {"RepoStat", "corerepo.Stat{+SizeStat corerepo.SizeStat{RepoSize uint64;StorageMax uint64};"
                 "NumObjects uint64;RepoPath string;Version string}"},
    {"Resolved", "name.ResolvedPath{Path string}"},
    {"Stat", "bitswap.Stat{Wantlist []cid.Cid;Peers []string;BlocksReceived uint64;DataReceived uint64;"
             "DupBlksReceived uint64;DupDataReceived uint64;MessagesReceived uint64;BlocksSent uint64;"
             "DataSent uint64}"},
    {"Strings", "commands.stringList{Strings []string}"},
};

enum { STREAM = false, SINGLE = true, PRINTS = true };

static const go_answer_t answers[] = {
    {"add",
     "*commands.AddEvent{Name string;Hash string;Bytes int64;Size string;Mode string;Mtime int64;"
     "MtimeNsecs int}",
     NULL, STREAM, PRINTS},
    {"bitswap/ledger",
     "*decision.Receipt{Peer string;Value float64;Sent uint64;Recv uint64;Exchanged uint64}", NULL, SINGLE,
     false},
    {"bitswap/stat", "*@Stat", NULL, SINGLE, false},
    {"bitswap/wantlist", "*commands.KeyList{Keys []cid.Cid}", NULL, SINGLE, false},
    {"block/put", "*@BlockStat", NULL, STREAM, false},
    {"block/rm", "*commands.removedBlock{Hash string;Error string}", NULL, STREAM, PRINTS},
    {"block/stat", "*@BlockStat", NULL, SINGLE, false},
    {"bootstrap", "*@Bootstrap", NULL, SINGLE, false},
    {"bootstrap/add", "*@Bootstrap", NULL, SINGLE, false},
    {"bootstrap/list", "*@Bootstrap", NULL, SINGLE, false},
    {"bootstrap/rm", "*@Bootstrap", NULL, SINGLE, false},
    {"bootstrap/rm/all", "*@Bootstrap", NULL, SINGLE, false},
    {"cid/base32", "*@CidFormat", NULL, STREAM, PRINTS},
    {"cid/bases", "[]@CodeAndName", NULL, SINGLE, false},
    {"cid/codecs", "[]@CodeAndName", NULL, SINGLE, false},
    {"cid/format", "*@CidFormat", NULL, STREAM, PRINTS},
    {"cid/hashes", "[]@CodeAndName", NULL, SINGLE, false},
    {"cid/inspect",
     "*commands.CidInspectRes{Cid:cid string;Version:version int;"
     "Multibase:multibase commands.CidInspectBase{Prefix:prefix string;Name:name string};"
     "Multicodec:multicodec commands.CidInspectCodec{Code:code uint64;Name:name string};"
     "Multihash:multihash commands.CidInspectHash{Code:code uint64;Name:name string;Length:length int;"
     "Digest:digest string};CidV0:cidV0 string;CidV1:cidV1 string;ErrorMsg:errorMsg string}",
     NULL, SINGLE, false},
    {"commands", "*@Command", NULL, SINGLE, false},
    {"config", "*commands.ConfigField{Key string;Value any}", NULL, SINGLE, false},
    {"config/profile/apply", "*commands.ConfigUpdateOutput{OldCfg map[string]any;NewCfg map[string]any}",
     NULL, SINGLE, false},
    {"config/show", "*map[string]any", NULL, SINGLE, false},
    {"dag/import",
     "*dagcmd.CarImportOutput{Root *dagcmd.RootMeta{Cid cid.Cid;PinErrorMsg string};"
     "Stats *dagcmd.CarImportStats{BlockCount uint64;BlockBytesCount uint64}}",
     NULL, STREAM, false},
    {"dag/put", "*dagcmd.OutputObject{Cid cid.Cid}", NULL, STREAM, false},
    {"dag/resolve", "*dagcmd.ResolveOutput{Cid cid.Cid;RemPath string}", NULL, SINGLE, false},
    {"dag/stat",
     "*dagcmd.DagStatSummary{-redundantSize uint64;UniqueBlocks int;TotalSize uint64;SharedSize uint64;"
     "Ratio float32;DagStatsArray:DagStats []*dagcmd.DagStat{Cid string;Size uint64;NumBlocks int64}}",
     NULL, STREAM, false},
    {"dht/query", "*@QueryEvent", NULL, STREAM, false},
    {"diag/cmds",
     "[]*commands.ReqLogEntry{StartTime time.Time;EndTime time.Time;Active bool;Command string;"
     "Options map[string]any;Args []string;ID int;-log *commands.ReqLog{}}",
     "*[]*cmds.ReqLogEntry{StartTime time.Time;EndTime time.Time;Active bool;Command string;"
     "Options map[string]any;Args []string;ID int}",
     SINGLE, false},
    {"diag/datastore/count", "*commands.diagDatastoreCountResult{Prefix:prefix string;Count:count int64}",
     NULL, SINGLE, false},
    {"diag/datastore/get",
     "*commands.diagDatastoreGetResult{Key:key string;Value:value []uint8;HexDump:hex_dump string}", NULL,
     SINGLE, false},
    {"diag/healthy", "string", "any", SINGLE, false},
    {"diag/sys",
     "map[string]any{diskinfo map[string]any{total_space uint64;free_space uint64};"
     "memory map[string]any{swap uint64;virt uint64};net map[string]any{interface_addresses []string};"
     "runtime map[string]any{numcpu int;gomaxprocs int;numgoroutines int}}",
     "any", SINGLE, false},
    {"files/flush", "*commands.flushRes{Cid string}", NULL, SINGLE, false},
    {"files/ls",
     "*commands.filesLsOutput{Entries []mfs.NodeListing{Name string;Type int;Size int64;Hash string}}", NULL,
     SINGLE, false},
    {"files/rm", "string", "any", STREAM, false},
    {"files/stat",
     "*commands.statOutput{Hash string;Size uint64;CumulativeSize uint64;Blocks int;Type string;"
     "WithLocality bool;Local bool;SizeLocal uint64;Mode uint32;Mtime int64;MtimeNsecs int}",
     NULL, SINGLE, false},
    {"filestore/dups", "*@Ref", NULL, STREAM, false},
    {"filestore/ls", "*@ListRes", NULL, STREAM, PRINTS},
    {"filestore/verify", "*@ListRes", NULL, STREAM, PRINTS},
    {"id", "*@Id", NULL, SINGLE, false},
    {"key/gen", "*@Key", NULL, SINGLE, false},
    {"key/import", "*@Key", NULL, SINGLE, false},
    {"key/list", "*@Keys", NULL, SINGLE, false},
    {"key/ls", "*@Keys", NULL, SINGLE, false},
    {"key/rename", "*commands.KeyRenameOutput{Was string;Now string;Id string;Overwrite bool}", NULL, SINGLE,
     false},
    {"key/rm", "*@Keys", NULL, SINGLE, false},
    {"key/sign", "*commands.KeySignOutput{Key @Key;Signature string}", NULL, STREAM, false},
    {"key/verify", "*commands.KeyVerifyOutput{Key @Key;SignatureValid bool}", NULL, STREAM, false},
    {"log/level", "*commands.logLevelOutput{Levels map[string]string;Message string}", NULL, SINGLE, false},
    {"log/ls", "*@Strings", NULL, SINGLE, false},
    {"ls",
     "*commands.LsOutput{Objects []commands.LsObject{Hash string;Links []commands.LsLink{Name string;"
     "Hash string;Size uint64;Type pb.Data_DataType(int32);Target string;Mode fs.FileMode(uint32);"
     "ModTime time.Time}}}",
     NULL, SINGLE, PRINTS},
    {"mount",
     "*config.Mounts{IPFS string;IPNS string;MFS string;FuseAllowOther @Flag;StoreMtime @Flag;"
     "StoreMode @Flag}",
     NULL, SINGLE, false},
    {"multibase/list", "[]@CodeAndName", NULL, SINGLE, false},
    {"name/inspect",
     "*name.IpnsInspectResult{Entry name.IpnsInspectEntry{Value string;"
     "ValidityType *ipns.ValidityType(int64);Validity *time.Time;Sequence *uint64;TTL *time.Duration(int64)};"
     "PbSize int;SignatureType string;HexDump string;"
     "Validation *name.IpnsInspectValidation{Valid bool;Reason string;Name string}}",
     NULL, SINGLE, false},
    {"name/publish", "*@IpnsEntry", NULL, SINGLE, false},
    {"name/pubsub/cancel", "*name.ipnsPubsubCancel{Canceled bool}", NULL, SINGLE, false},
    {"name/pubsub/state", "*name.ipnsPubsubState{Enabled bool}", NULL, SINGLE, false},
    {"name/pubsub/subs", "*name.stringList{Strings []string}", NULL, SINGLE, false},
    {"name/put", "*@IpnsEntry", NULL, SINGLE, false},
    {"name/resolve", "*@Resolved", NULL, SINGLE, false},
    {"object/diff",
     "*objectcmd.Changes{Changes []*dagutils.Change{Type dagutils.ChangeType(int);Path string;Before cid.Cid;"
     "After cid.Cid}}",
     NULL, SINGLE, false},
    {"object/patch/add-link", "*@Object", NULL, SINGLE, false},
    {"object/patch/rm-link", "*@Object", NULL, SINGLE, false},
    {"p2p/close", "int", "int", SINGLE, false},
    {"p2p/forward", "*@Foreground", NULL, STREAM, false},
    {"p2p/listen", "*@Foreground", NULL, STREAM, false},
    {"p2p/ls",
     "*commands.P2PLsOutput{Listeners []commands.P2PListenerInfoOutput{Protocol string;ListenAddress string;"
     "TargetAddress string}}",
     NULL, SINGLE, false},
    {"p2p/stream/ls",
     "*commands.P2PStreamsOutput{Streams []commands.P2PStreamInfoOutput{HandlerID string;Protocol string;"
     "OriginAddress string;TargetAddress string}}",
     NULL, SINGLE, false},
    {"pin/add", "*pin.AddPinOutput{Pins []string;Progress int;Bytes uint64}", NULL, SINGLE, false},
    {"pin/ls",
     "pin.PinLsOutputWrapper{+PinLsList pin.PinLsList{Keys map[string]pin.PinLsType{Type string;Name "
     "string}};"
     "+PinLsObject pin.PinLsObject{Cid string;Name string;Type string}}",
     NULL, SINGLE, false},
    {"pin/remote/add", "@PinStatus", NULL, STREAM, false},
    {"pin/remote/ls", "@PinStatus", NULL, STREAM, false},
    {"pin/remote/service/ls",
     "*pin.PinServicesList{RemoteServices []pin.ServiceDetails{Service string;ApiEndpoint string;"
     "Stat *pin.Stat{Status string;PinCount *pin.PinCount{Queued int;Pinning int;Pinned int;Failed int}}}}",
     NULL, SINGLE, false},
    {"pin/rm", "*@PinOutput", NULL, SINGLE, false},
    {"pin/update", "*@PinOutput", NULL, SINGLE, false},
    {"pin/verify",
     "pin.PinVerifyRes{Cid string;Err string;+PinStatus pin.PinStatus{Ok bool;"
     "BadNodes []pin.BadNode{Cid string;Err string}}}",
     NULL, STREAM, false},
    {"ping", "*commands.PingResult{Success bool;Time time.Duration(int64);Text string}", NULL, STREAM, false},
    {"provide/clear", "int", "int", STREAM, false},
    {"provide/once", "*commands.ProvideOnceEvent{Queued string}", NULL, STREAM, false},
    {"provide/stat", "@Provide", NULL, STREAM, false},
    {"pubsub/ls", "@Strings", NULL, SINGLE, false},
    {"pubsub/peers", "*@Strings", NULL, SINGLE, false},
    {"pubsub/reset", "*commands.pubsubResetResult{Deleted:deleted int64}", NULL, SINGLE, false},
    {"pubsub/sub",
     "*commands.pubsubMessage{From:from string;Data:data string;Seqno:seqno string;"
     "TopicIDs:topicIDs []string}",
     NULL, STREAM, false},
    {"refs", "*@Ref", NULL, STREAM, false},
    {"refs/local", "*@Ref", NULL, STREAM, false},
    {"repo/gc", "*commands.GcResult{Key cid.Cid;Error string}", NULL, STREAM, false},
    {"repo/ls", "*@Ref", NULL, STREAM, false},
    {"repo/stat", "*@RepoStat", NULL, SINGLE, false},
    {"repo/verify", "*commands.VerifyProgress{Msg string;Progress int}", NULL, STREAM, false},
    {"repo/version", "*commands.RepoVersion{Version string}", NULL, SINGLE, false},
    {"resolve", "*@Resolved", NULL, SINGLE, false},
    {"routing/findpeer", "*@QueryEvent", NULL, STREAM, false},
    {"routing/findprovs", "*@QueryEvent", NULL, STREAM, false},
    {"routing/get", "@QueryEvent", NULL, STREAM, false},
    {"routing/provide", "*@QueryEvent", NULL, STREAM, false},
    {"routing/put", "@QueryEvent", NULL, STREAM, false},
    {"stats/bitswap", "*@Stat", NULL, SINGLE, false},
    {"stats/bw", "*metrics.Stats{TotalIn int64;TotalOut int64;RateIn float64;RateOut float64}", NULL, STREAM,
     PRINTS},
    {"stats/dht",
     "commands.dhtStat{Name string;Buckets []commands.dhtBucket{LastRefresh string;"
     "Peers []commands.dhtPeerInfo{ID string;Connected bool;AgentVersion string;LastUsefulAt string;"
     "LastQueriedAt string}}}",
     NULL, STREAM, false},
    {"stats/provide", "@Provide", NULL, STREAM, false},
    {"stats/repo", "*@RepoStat", NULL, SINGLE, false},
    {"stats/reprovide", "@Provide", NULL, STREAM, false},
    {"swarm/addrs", "*commands.addrMap{Addrs map[string][]string}", NULL, SINGLE, false},
    {"swarm/addrs/autonat",
     "commands.autoNATResult{Reachability:reachability string;Reachable:reachable []string;"
     "Unreachable:unreachable []string;Unknown:unknown []string}",
     NULL, SINGLE, false},
    {"swarm/addrs/listen", "*@Strings", NULL, SINGLE, false},
    {"swarm/addrs/local", "*@Strings", NULL, SINGLE, false},
    {"swarm/connect", "*@Strings", NULL, SINGLE, false},
    {"swarm/disconnect", "*@Strings", NULL, SINGLE, false},
    {"swarm/filters", "*@Strings", NULL, SINGLE, false},
    {"swarm/filters/add", "*@Strings", NULL, SINGLE, false},
    {"swarm/filters/rm", "*@Strings", NULL, SINGLE, false},
    {"swarm/peering/add", "@Peering", NULL, STREAM, false},
    {"swarm/peering/ls", "commands.addrInfos{Peers []@AddrInfo}", NULL, SINGLE, false},
    {"swarm/peering/rm", "@Peering", NULL, STREAM, false},
    {"swarm/peers",
     "*commands.connInfos{Peers []commands.connInfo{Addr string;Peer string;Latency string;Muxer string;"
     "Direction network.Direction(int);Streams []commands.streamInfo{Protocol string};Identify @Id}}",
     NULL, SINGLE, false},
    {"swarm/resources",
     "libp2p.LimitsConfigAndUsage{System @Limits;Transient @Limits;Services map[string]@Limits;"
     "Protocols map[protocol.ID]@Limits;Peers map[peer.ID]@Limits}",
     NULL, SINGLE, false},
    {"version", "*ipfs.VersionInfo{Version string;Commit string;Repo string;System string;Golang string}",
     NULL, SINGLE, false},
    {"version/check",
     "commands.VersionCheckOutput{UpdateAvailable bool;RunningVersion string;GreatestVersion string;"
     "PeersSampled int;WithGreaterVersion int}",
     NULL, SINGLE, false},
    {"version/deps", "commands.Dependency{Path string;Version string;ReplacedBy string;Sum string}", NULL,
     STREAM, false},
};

const go_answer_t *go_answer_at(size_t n)
{
    return n < ARRAY_LEN(answers) ? &answers[n] : NULL;
}

const go_answer_t *go_answer_of(const char *command)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        if (!strcmp(answers[i].command, command))
            return &answers[i];
    return NULL;
}

bool go_answer_has_text(const char *command)
{
    static const char *const without[] = {"add",          "block/rm",         "cid/base32",  "cid/format",
                                          "diag/healthy", "diag/sys",         "files/flush", "files/rm",
                                          "filestore/ls", "filestore/verify", "key/sign",    "key/verify",
                                          "stats/bw",     "version/check"};
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        if (!strcmp(without[i], command))
            return false;
    return true;
}

const char *go_definition(bytes_t name)
{
    for (size_t i = 0; i < ARRAY_LEN(definitions); i++)
        if (bytes_equal(name, bytes_str(definitions[i].name)))
            return definitions[i].notation;
    return NULL;
}
