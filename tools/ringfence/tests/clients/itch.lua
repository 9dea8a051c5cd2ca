-- Wireshark has a dissector of ITCH and one of SoupBinTCP, and no way from one to the other: this is it.
local itch = Dissector.get("nasdaq-itch")
local way = Proto("itch_in_soupbintcp", "ITCH in SoupBinTCP")

function way.dissector()
    return 0
end

way:register_heuristic("soupbintcp", function(buffer, packet, tree)
    itch:call(buffer, packet, tree)
    return true
end)
