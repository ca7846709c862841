// Constants in block RAM, from a file of $readmemh. It answers two clocks after `address`.
module leanspike_rom #(
    parameter WIDTH = 8,
    parameter DEPTH = 2,
    parameter ADDRESS = 1,
    parameter FILE = ""
) (
    input  wire               clk,
    input  wire [ADDRESS-1:0] address,
    output reg  [WIDTH-1:0]   data
);
    reg [WIDTH-1:0] memory [0:DEPTH-1];
    reg [WIDTH-1:0] found;

    generate
        if (FILE != "") begin : contents
            initial $readmemh(FILE, memory);
        end
    endgenerate

    always @(posedge clk) begin
        found <= memory[address];
        data <= found;
    end
endmodule
